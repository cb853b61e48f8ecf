"""`turnout completion SHELL`: words that can follow, in the shell. The parser is the truth, models are asked for live.

A shell calls `turnout __complete WORD…`, whose last word is the one being written, and gets one word a line with its
meaning behind a tab. kubectl has a mechanism of its own, which ends with a line `:4`: take these and no file names.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from turnout.cli.command import Commands, add_command

if TYPE_CHECKING:
    from turnout.api.version import ModelVersion

SHELLS = ("bash", "zsh", "fish")
NO_FILES = ":4"  # cobra's ShellCompDirectiveNoFileComp
FILES = ":0"

SCRIPTS = {
    "bash": """\
_turnout() {
    local IFS=$'\\n'
    COMPREPLY=($(turnout __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
}
complete -o default -F _turnout turnout
""",
    "zsh": """\
#compdef turnout
_turnout() {
    local -a found
    found=("${(@f)$(turnout __complete "${(@)words[2,CURRENT]}" 2>/dev/null | sed -e 's/:/\\\\:/g' -e 's/\\t/:/')}")
    if [[ -n "${found[1]}" ]]; then _describe turnout found; else _files; fi
}
compdef _turnout turnout
""",
    "fish": """\
complete -c turnout -f -a '(turnout __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
complete -c turnout -n '__fish_seen_subcommand_from up predict publish plan lint' -F
""",
}

TEXT = """Prints what makes your shell complete commands, options, models, versions and namespaces, which it asks
of the local engine or the cluster as you type, and files where a file is meant.

kubectl completes `kubectl turnout` by itself, from 1.26 on: it finds kubectl_complete-turnout, which is
installed with turnout."""

EXAMPLES = """  source <(turnout completion bash)             # in ~/.bashrc
  source <(turnout completion zsh)              # in ~/.zshrc, after compinit
  turnout completion fish | source              # in config.fish
"""

Choices = list[tuple[str, str]]
Live = Callable[[argparse.Namespace], "Sequence[ModelVersion]"]
"""The versions that a command line, as far as it is written, could mean."""


def add_parser(commands: Commands) -> None:
    parser = add_command(
        commands, "completion", summary="print what completes commands in your shell", text=TEXT, examples=EXAMPLES
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    print(SCRIPTS[args.shell], end="")
    return 0


def candidates(parser: argparse.ArgumentParser, words: Sequence[str], live: Live) -> Iterator[tuple[str, str]]:
    """(word, meaning) of what may stand in place of the last of `words`."""
    *before, last = words or [""]
    whole = _command_of(parser, before)
    if whole is None:
        yield from _beginning(_subcommands(parser), last)
        return
    command, rest = whole
    option = _wants_value(command, rest)
    if option is not None:
        choices = _values(command, option, rest, live)
    elif last.startswith("-"):
        choices = list(_options(command))
    else:
        choices = _positional(command, rest, live)
    yield from _beginning(choices, last)


def _beginning(choices: Sequence[tuple[str, str]], last: str) -> Iterator[tuple[str, str]]:
    return ((word, meaning) for word, meaning in choices if word.startswith(last))


def _subcommands(parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    (action,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return [(choice.dest, str(choice.help)) for choice in action._choices_actions]


def _command_of(
    parser: argparse.ArgumentParser, words: Sequence[str]
) -> tuple[argparse.ArgumentParser, Sequence[str]] | None:
    """The parser of the command that is written already, and the words after it."""
    (action,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    for index, word in enumerate(words):
        if word in action.choices:
            return cast("argparse.ArgumentParser", action.choices[word]), words[index + 1 :]
    return None


def _wants_value(command: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Action | None:
    """The option that the last complete word is, if a value must follow it."""
    action = command._option_string_actions.get(words[-1]) if words else None
    return action if action is not None and action.nargs is None else None


def _options(command: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in command._actions:
        for option in action.option_strings[-1:]:
            yield option, "" if action.help is argparse.SUPPRESS else str(action.help or "")


def _values(command: argparse.ArgumentParser, option: argparse.Action, words: Sequence[str], live: Live) -> Choices:
    """What an option may be: of -n the namespaces in which there is something, else the choices of the parser."""
    if option.dest != "namespace":
        return [(str(choice), "") for choice in option.choices or ()]
    anywhere = _as_far_as_written(command, words[:-1])
    anywhere.namespace = ""
    return [(name, "") for name in sorted({version.namespace for version in live(anywhere)})]


def _positional(command: argparse.ArgumentParser, words: Sequence[str], live: Live) -> Choices:
    """What the next argument may be: a MODEL, a VERSION of the model that is named, else the choices of the parser."""
    given = _given(command, words)
    action = _next(command, given)
    if action is None or _is_file(action):
        return []
    if action.metavar == "MODEL":
        return [(name, "") for name in sorted({version.model for version in live(_as_far_as_written(command, words))})]
    if action.metavar == "VERSION" and given:
        mine = (version for version in live(_as_far_as_written(command, words)) if version.model == given[0])
        newest_first = sorted(mine, key=lambda version: -version.version)
        return [(str(each.version), str(each.status.state or "not looked at yet")) for each in newest_first]
    return [(str(choice), "") for choice in action.choices or ()]


def _given(command: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """Those of the words that are neither options nor their values."""
    indexed = enumerate(words)
    return [word for i, word in indexed if not word.startswith("-") and _wants_value(command, words[:i]) is None]


def _next(command: argparse.ArgumentParser, given: Sequence[str]) -> argparse.Action | None:
    """The argument that comes after these; the last of a command may take many."""
    values = [action for action in command._actions if not action.option_strings]
    if len(given) < len(values):
        return values[len(given)]
    return values[-1] if values and values[-1].nargs == "+" else None


def wants_file(parser: argparse.ArgumentParser, words: Sequence[str]) -> bool:
    """Whether the name of a file may stand in place of the last of `words`."""
    *before, last = words or [""]
    whole = _command_of(parser, before)
    if whole is None:
        return False
    command, rest = whole
    option = _wants_value(command, rest)
    action = option if option or last.startswith("-") else _next(command, _given(command, rest))
    return action is not None and _is_file(action)


def _is_file(action: argparse.Action) -> bool:
    return action.type is Path or action.metavar == "FILE"


def _as_far_as_written(command: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """The options of an unfinished line, or their defaults where they make no sense yet."""
    probe = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    defaults = {action.dest: action.default for action in command._actions if action.option_strings}
    for action in command._actions:
        if action.option_strings and action.dest != "help":
            probe._add_action(action)
    try:
        known, _ = probe.parse_known_args(list(words))
    except argparse.ArgumentError:
        return argparse.Namespace(**defaults)
    return known


def complete(parser: argparse.ArgumentParser, words: Sequence[str], *, plugin: bool = False) -> int:
    """Answer a shell: words only, never a complaint."""
    for word, meaning in candidates(parser, words, partial(_versions, plugin=plugin)):
        print(f"{word}\t{' '.join(meaning.split())}" if meaning else word)
    return 0


def _versions(args: argparse.Namespace, *, plugin: bool) -> "Sequence[ModelVersion]":
    from turnout.cli.command import UserError
    from turnout.cli.worlds import world_of

    args.plugin = plugin
    try:
        return world_of(args).versions()
    except UserError:
        return ()


def kubectl_complete() -> int:
    """`kubectl_complete-turnout`, which kubectl calls to complete `kubectl turnout …`."""
    from turnout.cli import parser

    whole, words = parser("kubectl turnout"), sys.argv[1:]
    complete(whole, words, plugin=True)
    print(FILES if wants_file(whole, words) else NO_FILES)
    return 0
