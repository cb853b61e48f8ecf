{{- define "turnout.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "turnout.selector" -}}
app.kubernetes.io/name: turnout
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "turnout.labels" -}}
{{ include "turnout.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: turnout
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "turnout.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "turnout.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The reference of an image: (list $ "name"). A tag is a colon after the last slash; registries have ports. */}}
{{- define "turnout.image" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $registry := trimSuffix "/" $root.Values.images.registry -}}
{{- $reference := ternary $name (printf "%s/%s" $registry $name) (eq $registry "") -}}
{{- if regexMatch "(:[^/]+|@.+)$" $name -}}
{{- $reference -}}
{{- else -}}
{{- printf "%s:%s" $reference (default $root.Chart.AppVersion $root.Values.images.tag) -}}
{{- end -}}
{{- end -}}

{{/* What the operator may do. The rules are the same for one namespace and for all. */}}
{{- define "turnout.rules" -}}
- apiGroups: [turnout.dev]
  resources: [modelversions]
  verbs: [get, list, watch]
- apiGroups: [turnout.dev]
  resources: [modelversions/status]
  verbs: [patch]
- apiGroups: [serving.kserve.io]
  resources: [inferenceservices]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [serving.knative.dev]
  resources: [routes] # collected by Kubernetes with the last version, never deleted
  verbs: [get, list, watch, create, patch]
- apiGroups: [serving.knative.dev]
  resources: [revisions] # patch: the floors
  verbs: [get, list, watch, patch]
- apiGroups: [serving.knative.dev]
  resources: [services]
  verbs: [list, watch]
- apiGroups: [autoscaling.internal.knative.dev]
  resources: [podautoscalers]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods, services]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end -}}
