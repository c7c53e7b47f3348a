"""Reports for others to read: Markdown for a ticket or a wiki, JUnit's XML for a build server.

Pure, and made from the JSON documents of `drills.report`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from .series import Document, spreads

_MARKS: Final = {True: "pass", False: "**FAIL**", None: "-"}


def to_markdown(runs: Sequence[Document]) -> str:
    """Return a page about one run or several: the verdict, the criteria, the phases."""
    return "\n".join([*_head(runs), *_figures(runs), *_runs(runs), f"> {runs[0]['note']}", ""])


def _head(runs: Sequence[Document]) -> Iterator[str]:
    first = runs[0]
    passed = sum(run["passed"] for run in runs)
    verdict = "passed" if passed == len(runs) else "FAILED"
    topology = first["topology"]
    yield f"# Drill {first['drill']}: {verdict}"
    yield ""
    yield f"- runs: {passed} of {len(runs)} passed"
    yield f"- nodes: {', '.join(topology['nodes'].values())}"
    yield (
        f"- sentinels: {', '.join(topology['sentinels'].values())}; quorum {topology['quorum']}, "
        f"down-after {topology['down_after_ms']} ms"
    )
    yield f"- writers: {first['writers']}; Vedette {first['version']}"
    yield ""


def _figures(runs: Sequence[Document]) -> Iterator[str]:
    yield "| after the fault, ms | min | median | p95 | max |"
    yield "|---|---:|---:|---:|---:|"
    for name, spread in spreads(runs).items():
        cells = (spread.minimum, spread.median, spread.p95, spread.maximum)
        yield f"| {name} | " + " | ".join(f"{value:.0f}" for value in cells) + " |"
    yield ""


def _runs(runs: Sequence[Document]) -> Iterator[str]:
    for number, run in enumerate(runs, start=1):
        mark = "passed" if run["passed"] else "FAILED"
        yield f"## Run {number}: {mark} (seed {run['seed']}, leader {run['leader'] or 'none'})"
        yield ""
        yield "| | criterion | demanded | found |"
        yield "|---|---|---|---|"
        for criterion in run["criteria"]:
            words = [criterion[key].replace("|", "\\|") for key in ("name", "demanded", "found")]
            yield f"| {_MARKS[criterion['passed']]} | {' | '.join(words)} |"
        yield ""
        for criterion in run["criteria"]:
            if criterion["passed"] is False:
                yield f"- **{criterion['name']}**: {criterion['advice']}"
                yield ""


def to_junit(runs: Sequence[Document]) -> str:
    """Return the runs as test suites whose cases are the criteria."""
    root = Element("testsuites", name="vedette drill")
    for number, run in enumerate(runs, start=1):
        criteria = run["criteria"]
        suite = SubElement(
            root,
            "testsuite",
            name=f"{run['drill']}.{number}",
            tests=str(len(criteria)),
            failures=str(sum(criterion["passed"] is False for criterion in criteria)),
            skipped=str(sum(criterion["passed"] is None for criterion in criteria)),
        )
        for criterion in criteria:
            case = SubElement(
                suite, "testcase", classname=f"drill.{run['drill']}", name=criterion["name"]
            )
            if criterion["passed"] is False:
                failure = SubElement(case, "failure", message=criterion["demanded"])
                failure.text = f"found: {criterion['found']}\n{criterion['advice']}"
            elif criterion["passed"] is None:
                SubElement(case, "skipped", message=criterion["found"])
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"
