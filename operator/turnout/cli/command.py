"""What every command is made of. Nothing heavy is imported here: `turnout --help` answers at once."""

import argparse
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = object


class UserError(Exception):
    """Something only the user can put right, in one sentence that names the object, the fact and the next action."""


def add_command(
    commands: Commands, name: str, *, summary: str, text: str = "", examples: str = ""
) -> argparse.ArgumentParser:
    """A parser whose help reads: what it does, how it is called, and examples as they are written."""
    return commands.add_parser(
        name,
        help=summary,
        description=text or summary,
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
