"""`/docs`: one page without any address but the server's own, where a person tries the model in a browser."""

from __future__ import annotations

from html import escape
from string import Template
from typing import Final

_PAGE: Final = Template("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse } td, th { padding: .2rem 1rem .2rem 0; text-align: left }
textarea { width: 100%; height: 14rem; font: 14px/1.4 ui-monospace, monospace }
pre { background: #f4f4f4; padding: 1rem; overflow: auto; white-space: pre-wrap }
button { font: inherit; padding: .3rem 1rem } .bad { color: #a00 }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } pre { background: #262626 } }
</style>
<h1>$title</h1>
<p>V2 at <code>$base</code>; the document for machines is <a href="/openapi.json">/openapi.json</a>.</p>
<table id="tensors"><tr><th></th><th>name</th><th>datatype</th><th>shape</th></tr></table>
<h2>Try it</h2>
<label>Request <select id="examples"></select></label>
<textarea id="request" spellcheck="false"></textarea>
<p><button id="send">Send</button> <span id="status" role="status"></span></p>
<pre id="answer"></pre>
<script>
const base = $base_json, at = id => document.getElementById(id);
const show = value => JSON.stringify(value, null, 1).replace(/\\n\\s*(-?[\\d.eE+]+,?)(?=\\n)/g, " $$1");
const cells = (row, values) => values.forEach(value => row.insertCell().textContent = value);
async function load() {
  const model = await (await fetch(base)).json();
  if (model.error) { at("status").textContent = model.error; setTimeout(load, 2000); return; }
  for (const [side, tensors] of [["input", model.inputs], ["output", model.outputs]])
    for (const t of tensors) cells(at("tensors").insertRow(), [side, t.name, t.datatype, JSON.stringify(t.shape)]);
  const blank = {inputs: model.inputs.map(t => ({name: t.name, datatype: t.datatype,
    shape: t.shape.map(n => n < 0 ? 1 : n), data: []}))};
  const stored = (await (await fetch(base + "/examples")).json()).examples || [];
  const choices = [...stored.map(e => [e.name, e.request]), ["blank", blank]];
  choices.forEach(([name], index) => at("examples").add(new Option(name, index)));
  at("examples").onchange = () => at("request").value = show(choices[at("examples").value][1]);
  at("examples").onchange();
  at("status").textContent = "";
}
at("send").onclick = async () => {
  const begun = performance.now();
  const reply = await fetch(base + "/infer", {method: "POST", body: at("request").value});
  at("status").textContent = reply.status + " in " + (performance.now() - begun).toFixed(1) + " ms";
  at("status").className = reply.ok ? "" : "bad";
  at("answer").textContent = show(await reply.json());
};
load();
</script></html>
""")


def page(model: str, version: str) -> bytes:
    base = f"/v2/models/{model}"
    quoted = '"' + base.replace("\\", "\\\\").replace('"', '\\"').replace("<", "\\u003c") + '"'
    return _PAGE.substitute(title=escape(f"{model} version {version}"), base=escape(base), base_json=quoted).encode()
