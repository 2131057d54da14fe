"""Imports point one way: no service knows another, common knows none, and inside a service the shell knows the core."""

from collections.abc import Iterator

from tests.tidy.tree import PACKAGES, SERVICES, Source, obey, sources_in

# Within a service, in a room of it too, a file may import files of its own height or lower; files not named are free.
HEIGHT = {"store": 1, "queries": 1, "consumer": 2, "api": 2, "app": 3, "__main__": 4}
# What each room of segmentation's domain may know of the others; what stands in domain/ itself may know them all.
DOMAIN = "segmentation.domain"
ROOMS: dict[str, set[str]] = {"profile": set(), "rules": {"profile"}, "models": {"profile"}}


def test_a_service_imports_no_other_service_nor_the_command() -> None:
    def law(source: Source) -> Iterator[str]:
        own = source.module.partition(".")[0]
        for node, name in source.imports:
            head = name.partition(".")[0]
            if head in PACKAGES and head not in {own, "common"}:
                yield source.at(node, f"{own} imports {name}: what it must know of {head} it hears on the bus")

    obey(law, sources_in(*SERVICES))


def test_common_imports_no_service() -> None:
    def law(source: Source) -> Iterator[str]:
        for node, name in source.imports:
            head = name.partition(".")[0]
            if head in PACKAGES and head != "common":
                yield source.at(node, f"common imports {name}: hand in what differs, or move it to {head}")

    obey(law, sources_in("common"))


def test_nothing_but_tests_imports_tests() -> None:
    def law(source: Source) -> Iterator[str]:
        for node, name in source.imports:
            if name.partition(".")[0] in {"tests", "pytest", "hypothesis"}:
                yield source.at(node, f"imports {name}: a shop has no tests installed")

    obey(law, sources_in("common", *SERVICES, "regulars"))


def test_within_a_service_imports_point_from_the_shell_to_the_core() -> None:
    def law(source: Source) -> Iterator[str]:
        own, *rooms = source.module.split(".")
        room = rooms[-1] if rooms else ""
        if room not in HEIGHT:
            return
        for node, name in source.imports:
            of, *parts = name.split(".")
            highest = max(parts, key=lambda part: HEIGHT.get(part, 0), default="")
            if of == own and HEIGHT.get(highest, 0) > HEIGHT[room]:
                yield source.at(node, f"{room} imports {highest}, which stands above it: let {highest} hand it in")

    obey(law, sources_in(*SERVICES))


def test_the_rooms_of_segmentations_domain_know_each_other_one_way() -> None:
    def law(source: Source) -> Iterator[str]:
        room = source.module.removeprefix(f"{DOMAIN}.").partition(".")[0]
        for node, name in source.imports:
            of = name.removeprefix(f"{DOMAIN}.").partition(".")[0]
            if name.startswith(f"{DOMAIN}.") and of not in {room} | ROOMS[room]:
                yield source.at(node, f"{room}/ imports {name}: let domain/ itself, which knows all rooms, hand it in")

    inside = [each.module.split(".") for each in sources_in("segmentation") if each.module.startswith(f"{DOMAIN}.")]
    assert {room for _, _, room, *file in inside if file} == ROOMS.keys()
    rooms = tuple(f"{DOMAIN}.{room}" for room in ROOMS)
    obey(law, (source for source in sources_in("segmentation") if source.module.startswith(rooms)))
