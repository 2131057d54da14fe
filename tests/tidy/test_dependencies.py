"""Each member of the workspace declares what it itself imports, so that it can be installed alone."""

import itertools
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.tidy.tree import PACKAGES, ROOT, SERVICES, sources_in

FOLDERS = {"regulars": ".", "common": "libs/common", **{service: f"services/{service}" for service in SERVICES}}
OWN_DISTRIBUTIONS = {package: f"regulars-{package}" for package in PACKAGES if package in {"common", *SERVICES}}


@pytest.mark.parametrize("member", FOLDERS)
def test_a_member_declares_what_it_imports(member: str) -> None:
    project = tomllib.loads((ROOT / FOLDERS[member] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = itertools.chain(project["dependencies"], *project.get("optional-dependencies", {}).values())
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    provides = packages_distributions()
    faults = []
    for source in sources_in(member):
        for node, name in source.imports:
            head = name.partition(".")[0]
            if head == member or head in sys.stdlib_module_names:
                continue
            distributions = [OWN_DISTRIBUTIONS.get(head, "")] if head in PACKAGES else provides.get(head, [head])
            if not declared & {canonicalize_name(distribution) for distribution in distributions}:
                faults.append(source.at(node, f"imports {head}: add it to {FOLDERS[member]}/pyproject.toml"))
    assert not faults, "\n" + "\n".join(faults)
