"""Writes the Go, TypeScript and Java stubs from proto/, and the version and service config into every client.

    .venv/bin/python clients/generate.py            # what `make clients` runs
    .venv/bin/python clients/generate.py --check    # changes nothing, and fails where something differs
    .venv/bin/python clients/generate.py --check --at-hand    # the same, and fetches nothing

Everything it needs is installed under .cache/ and in clients/typescript/node_modules, at the versions named here
and in the lock file beside the package. A language whose tool chain is absent is skipped, and says so; with
`--at-hand` also one whose plugins are not installed yet, because fetching them takes minutes.
"""

import argparse
import filecmp
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ROOT / "clients"
CACHE = ROOT / ".cache"
TOOLS = CACHE / "tools"
PROTOS = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto").rglob("*.proto"))

GO_MODULE = "inference-gateway.example/go"
GO_PLUGINS = {
    "protoc-gen-go": "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12",
    "protoc-gen-go-grpc": "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
}
# The newest release whose plugin for Linux is in the registry; what it writes runs with newer grpc-java.
JAVA_PLUGIN = "io.grpc:protoc-gen-grpc-java:1.83.1"
JAVA_PROTOC = "com.google.protobuf:protoc:4.35.1"
MAVEN_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
TS_PLUGIN = CLIENTS / "typescript/node_modules/.bin/protoc-gen-ts_proto"
TS_OPTIONS = (
    "outputServices=grpc-js,esModuleInterop=true,importSuffix=.js,forceLong=bigint,oneof=unions,env=node"
    ",outputJsonMethods=false,exportCommonSymbols=false"
)
RICH_ERRORS = ["google/rpc/status.proto", "google/rpc/error_details.proto"]
ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch_64", "arm64": "aarch_64"}

GO_VERSION = """package inferencegateway

// Version of this client, which is that of the gateway it was made with.
const Version = "%s"
"""
TS_STAMPED = """/** Version of this client, which is that of the gateway it was made with. */
export const VERSION = "%s";

/** How calls are balanced, retried and limited in time; the same for every language. */
export const SERVICE_CONFIG = %s;
"""
JAVA_VERSION = """package inferencegateway.client;

/** Version of this client, which is that of the gateway it was made with. */
public final class Version {
  public static final String VERSION = "%s";

  private Version() {}
}
"""

TOOL_ENVIRONMENT = {
    "GOBIN": str(TOOLS),
    "GOPATH": str(CACHE / "go"),
    "GOCACHE": str(CACHE / "go-build"),
    "GOFLAGS": "-modcacherw -buildvcs=false",
    "npm_config_cache": str(CACHE / "npm"),
}


class StepError(Exception):
    """A step could not be done; the message says which and why."""


def say(line: str) -> None:
    """One line of what was done."""
    sys.stdout.write(f"{line}\n")


def run(*command: str, cwd: Path = ROOT) -> None:
    """Runs a tool with its caches under .cache/. Raises StepError with the end of what it said."""
    done = subprocess.run(  # noqa: S603 - the commands are written in this file
        command, cwd=cwd, env={**os.environ, **TOOL_ENVIRONMENT}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise StepError(f"{' '.join(command[:4])} … failed:\n{said}")


def sys_path(folder: str) -> Path:
    """A folder of an installed Python package. Raises StepError where it is not installed."""
    found = next((Path(path) / folder for path in sys.path if (Path(path) / folder).is_dir()), None)
    if found is None:
        raise StepError(f"{folder} is in no Python package here: run this with .venv/bin/python")
    return found


def protoc(*arguments: str) -> None:
    """The protoc that writes the Python stubs writes these too."""
    common = str(sys_path("google/rpc").parents[1])
    run(sys.executable, "-m", "grpc_tools.protoc", "-I", "proto", "-I", common, *arguments)


def go_tool(name: str) -> Path:
    """Where the plugin lies, at the version that is wanted here."""
    return TOOLS / f"{name}@{GO_PLUGINS[name].partition('@')[2]}"


def go_plugin(name: str, package: str) -> Path:
    """The plugin, installed if it is not there yet."""
    wanted = go_tool(name)
    if not wanted.is_file():
        run("go", "install", package)
        (TOOLS / name).rename(wanted)
    return wanted


def go(out: Path) -> None:
    """Go packages below the module path that the protos name."""
    plugins = [f"--plugin={name}={go_plugin(name, package)}" for name, package in GO_PLUGINS.items()]
    folders = [f"--{kind}_out={out}" for kind in ("go", "go-grpc")]
    options = [f"--{kind}_opt=module={GO_MODULE}" for kind in ("go", "go-grpc")]
    protoc(*plugins, *folders, *options, *PROTOS)


def typescript(out: Path) -> None:
    """TypeScript modules with grpc-js services, and the messages of rich errors."""
    if not TS_PLUGIN.exists():
        run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=CLIENTS / "typescript")
    protoc(
        f"--plugin=protoc-gen-ts_proto={TS_PLUGIN}",
        f"--ts_proto_out={out}",
        f"--ts_proto_opt={TS_OPTIONS}",
        *PROTOS,
        *RICH_ERRORS,
    )


def java_classifier() -> str:
    """What the Maven registry calls this machine."""
    system = "osx" if sys.platform == "darwin" else "linux"
    return f"{system}-{ARCHITECTURES[platform.machine().lower()]}"


def java_program(coordinates: str) -> Path:
    """Where a program of the Maven registry lies."""
    _, name, version = coordinates.split(":")
    return TOOLS / f"{name}-{version}-{java_classifier()}.exe"


def java_tool(coordinates: str) -> Path:
    """The program, fetched if it is not there yet."""
    tool = java_program(coordinates)
    if not tool.is_file():
        group, name, version = coordinates.split(":")
        artifact = f"-Dartifact={group}:{name}:{version}:exe:{java_classifier()}"
        local = f"-Dmaven.repo.local={CACHE / 'm2'}"
        run("mvn", "-q", "-B", local, MAVEN_COPY, artifact, f"-DoutputDirectory={TOOLS}")
        tool.chmod(0o755)
    return tool


def java(out: Path) -> None:
    """Java classes with grpc-java services; the protoc of grpcio-tools cannot write Java."""
    plugin = f"--plugin=protoc-gen-grpc-java={java_tool(JAVA_PLUGIN)}"
    common = str(sys_path("grpc_tools/_proto"))
    run(
        str(java_tool(JAVA_PROTOC)),
        "-I",
        "proto",
        "-I",
        common,
        plugin,
        f"--java_out={out}",
        f"--grpc-java_out={out}",
        *PROTOS,
    )


# A language: the command without which it is skipped, what writes it, where, and which folders there are its own.
Language = tuple[str, Callable[[Path], None], Path, tuple[str, ...]]
LANGUAGES: dict[str, Language] = {
    "go": ("go", go, CLIENTS / "go", ("gateway", "deepseek")),
    "typescript": ("npm", typescript, CLIENTS / "typescript/src/stubs", (".",)),
    "java": (
        "mvn",
        java,
        CLIENTS / "java/src/main/java",
        ("inferencegateway/v1", "inferencegateway/deepseek"),
    ),
}


def fetched(name: str) -> bool:
    """Whether nothing has to be installed before this language can be written."""
    tools = {
        "go": [go_tool(plugin) for plugin in GO_PLUGINS],
        "typescript": [TS_PLUGIN],
        "java": [java_program(coordinates) for coordinates in (JAVA_PROTOC, JAVA_PLUGIN)],
    }
    return all(tool.exists() for tool in tools[name])


def stamps() -> dict[Path, str]:
    """What every client holds a copy of, from its one place: the version, and how calls are made."""
    found = re.search(r'__version__ = "(.+)"', (ROOT / "gateway/__init__.py").read_text("utf-8"))
    if found is None:
        raise StepError("gateway/__init__.py names no __version__")
    version = found[1]
    config = (CLIENTS / "service-config.json").read_text("utf-8")
    package, pom = CLIENTS / "typescript/package.json", CLIENTS / "java/pom.xml"
    lock = CLIENTS / "typescript/package-lock.json"
    return {
        CLIENTS / "go/service-config.json": config,
        CLIENTS / "java/src/main/resources/inferencegateway/client/service-config.json": config,
        CLIENTS / "go/version.go": GO_VERSION % version,
        CLIENTS / "typescript/src/stamped.ts": TS_STAMPED % (version, config.rstrip()),
        CLIENTS / "java/src/main/java/inferencegateway/client/Version.java": JAVA_VERSION % version,
        package: re.sub(r'("version": )"[^"]*"', rf'\1"{version}"', package.read_text("utf-8"), count=1),
        # The root package stands twice in a lock file, before every other one.
        lock: re.sub(r'("version": )"[^"]*"', rf'\1"{version}"', lock.read_text("utf-8"), count=2),
        pom: re.sub(
            r"(<artifactId>inference-gateway-client</artifactId>\s*<version>)[^<]*",
            rf"\g<1>{version}",
            pom.read_text("utf-8"),
            count=1,
        ),
    }


def differences(fresh: Path, committed: Path) -> list[str]:
    """The files that are not the same in both folders, by their names below them."""
    names = {p.relative_to(tree) for tree in (fresh, committed) for p in tree.rglob("*") if p.is_file()}
    return sorted(
        str(name)
        for name in names
        if not (fresh / name).is_file()
        or not (committed / name).is_file()
        or not filecmp.cmp(fresh / name, committed / name, shallow=False)
    )


def replace(fresh: Path, committed: Path) -> None:
    """Makes the committed folder what was just written."""
    shutil.rmtree(committed, ignore_errors=True)
    shutil.copytree(fresh, committed)


def why_not(name: str, command: str, *, at_hand: bool) -> str:
    """Why a language cannot be written here; empty when it can."""
    if shutil.which(command) is None:
        return f"{command} is not installed"
    return (
        "its plugins are not here yet, 'make clients-check' fetches them" if at_hand and not fetched(name) else ""
    )


def stubs(name: str, language: Language, *, check: bool, at_hand: bool) -> list[str]:
    """Writes one language anew, or lists what would change."""
    command, write, folder, own = language
    if reason := why_not(name, command, at_hand=at_hand):
        say(f"{name}: skipped, because {reason}")
        return []
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch))
        changed = [
            f"{(folder / part).relative_to(ROOT)}/{file}"
            for part in own
            for file in differences(Path(scratch) / part, folder / part)
        ]
        if not check:
            for part in own:
                replace(Path(scratch) / part, folder / part)
    say(f"{name}: {'written' if not check else 'differs' if changed else 'as committed'}")
    return changed


def main() -> int:
    """Returns 0 when all is as it should be, 1 when something differs or a tool failed."""
    parser = argparse.ArgumentParser(
        description="Write the stubs and stamps of the Go, TypeScript and Java clients."
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail where something differs")
    parser.add_argument("--at-hand", action="store_true", help="fetch nothing; skip what would need it")
    args = parser.parse_args()
    check: bool = args.check
    TOOLS.mkdir(parents=True, exist_ok=True)
    try:
        stamped = stamps()
        changed = [str(p.relative_to(ROOT)) for p, t in stamped.items() if not p.is_file() or p.read_text() != t]
        if not check:
            for path, text in stamped.items():
                path.write_text(text, encoding="utf-8")
        for name, language in LANGUAGES.items():
            changed += stubs(name, language, check=check, at_hand=args.at_hand)
    except StepError as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    if check and changed:
        listed = "".join(f"  {name}\n" for name in changed)
        sys.stderr.write(f"Not what proto/ and gateway/__init__.py say; run 'make clients':\n{listed}")
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
