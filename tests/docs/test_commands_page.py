"""docs/commands.md is what the commands themselves say."""

from pathlib import Path

from turnout.cli import COMMANDS, parser
from turnout.cli.reference import PATH, render

ROOT = Path(__file__).parent.parent.parent


def test_the_page_is_generated_from_the_parser() -> None:
    assert (ROOT / PATH).read_text() == render(), f"python -m turnout.cli.reference --write {PATH}"


def test_every_command_and_every_option_is_on_it() -> None:
    page = render()
    (action,) = (each for each in parser()._actions if each.choices)
    assert len(action.choices or ()) == len(COMMANDS)
    for name, command in dict(action.choices or {}).items():  # type: ignore[call-overload]
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert section, name
        shared = {"-h", "--help", "-n", "--namespace", "-A", "--all-namespaces", "--context", "--kubeconfig"}
        shared |= {"--cluster", "--state"}
        options = {option for each in command._actions for option in each.option_strings} - shared
        assert all(f"`{option}" in section for option in options), name


def test_each_option_of_the_world_is_explained() -> None:
    section = render().partition("## Which world")[2].partition("\n## ")[0]
    assert all(f"`{option}`" in section for option in ("-n", "-A", "--context", "--kubeconfig", "--cluster", "--state"))
