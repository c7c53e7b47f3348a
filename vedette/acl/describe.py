"""The rules that make a set of commands, as ACL LIST prints them: short, and exact.

Redis keeps no rules, only the set they made. It is described from `+@all` or `-@all` on: first the
category that brings the description nearest, then the next, and at last single commands for what
still differs. Which rules come out depends on the commands there are, so a description made by one
program means the same set only to programs with the same table. Follows Redis 7.0 `acl.c:
ACLDescribeSelectorCommandRules`.
"""

from __future__ import annotations

from ..cmdspec import CATEGORIES
from .commands import CommandIndex
from .selector import Selector


def describe_commands(index: CommandIndex, selector: Selector) -> bytes:
    """Return the command rules of `selector`; it begins with `+@all` or `-@all`."""
    wanted = selector.commands
    is_additive = not wanted & index.future_bit
    described = Selector(index)
    rules = [b"-@all" if is_additive else b"+@all"]
    described.apply(rules[0])
    for category in _categories(index, wanted, is_additive=is_additive):
        rule = (b"+@" if is_additive else b"-@") + category.encode()
        described.apply(rule)
        rules.append(rule)
    rules += _single_commands(index, selector, described)
    assert described.commands == wanted, rules
    return b" ".join(rules)


def _categories(index: CommandIndex, wanted: int, *, is_additive: bool) -> list[str]:
    """Return the categories that describe `wanted` best, in the order of their use.

    Each time the one is taken that is right for more commands than it is wrong for, wrong for the
    fewest, and among those right for the most.
    """
    remaining = wanted
    chosen: list[str] = []
    while True:
        best, least_wrong, most_right = "", 0, 0
        for category in CATEGORIES:
            if category in chosen:
                continue
            members = index.members[category]
            on_count = (members & remaining).bit_count()
            off_count = members.bit_count() - on_count
            right, wrong = (on_count, off_count) if is_additive else (off_count, on_count)
            if right <= wrong:
                continue
            if not best or wrong < least_wrong or (wrong == least_wrong and right > most_right):
                best, least_wrong, most_right = category, wrong, right
        if not best:
            return chosen
        chosen.append(best)
        reach = index.reach[best]
        remaining = remaining & ~reach if is_additive else remaining | reach


def _single_commands(index: CommandIndex, selector: Selector, described: Selector) -> list[bytes]:
    """Return the rules for what `described` still lacks or has too much of, and complete it."""
    rules: list[bytes] = []
    for row in index.rows:
        bit = index.bit_of(row)
        is_allowed = bool(selector.commands & bit)
        name = row.full_name.encode()
        if is_allowed != bool(described.commands & bit):
            rules.append((b"+" if is_allowed else b"-") + name)
            described.set_command(row, is_allowed)
        if not is_allowed:
            words = selector.first_arguments.get(row.full_name, ())
            rules += [b"+%b|%b" % (name, word) for word in words]
    return rules
