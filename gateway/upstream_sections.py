"""The `[upstreams.NAME]` and `[models.NAME]` tables: who is asked, for which models, under which names."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway import schema
from gateway.models import CAPABILITIES, ModelCard
from gateway.models.profiles import PROFILES
from gateway.schema import read_table, setting
from gateway.sections import DeepSeek

DEEPSEEK = "deepseek"
EMBEDDED = "embedded"
UPSTREAM_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
LIMITS = {"context_tokens": "the model takes", "max_output_tokens": "it may answer with"}
MODEL_NAME = re.compile(r"[!-~]{1,128}")


def _keys(values: tuple[str, ...]) -> str | None:
    wrong = next((fault for value in values if (fault := schema.header_text(value))), None)
    return wrong or ("the same key stands there twice" if len(set(values)) < len(values) else None)


@dataclass(frozen=True, slots=True)
class UpstreamTable:
    """`[upstreams.NAME]`. Times in seconds, 0 = those of `[timers]`; `key_files` hold one key each."""

    kind: str = setting("", check=schema.one_of(*PROFILES))
    base_url: str = setting("", check=lambda value: schema.base_url(value) if value else None)
    key: tuple[str, ...] = setting((), secret=True, check=_keys)
    key_files: tuple[str, ...] = setting(())
    region: str = setting("")
    local: bool = setting(False)
    allow_plaintext: bool = setting(False)
    connect_s: float = setting(0.0, check=schema.not_negative)
    first_output_s: float = setting(0.0, check=schema.within(0, 600))
    first_output_thinking_s: float = setting(0.0, check=schema.within(0, 600))


@dataclass(frozen=True, slots=True)
class ModelTable:
    """`[models.NAME]`. `upstreams` are `NAME`, or `NAME:the model's name there`, the preferred one first.

    Sizes are tokens. `free` needs no entry in the price book, and is for models on the operator's own machines.
    """

    upstreams: tuple[str, ...] = setting(())
    family: str = setting("")
    owner: str = setting("")
    aliases: tuple[str, ...] = setting(())
    context_tokens: int = setting(0, check=schema.not_negative)
    max_output_tokens: int = setting(0, check=schema.not_negative)
    capabilities: tuple[str, ...] = setting(())
    free: bool = setting(False)


@dataclass(frozen=True, slots=True)
class Upstream:
    """One upstream as it will be asked: never without a kind and an address, `keys` empty where it wants none."""

    name: str
    kind: str
    base_url: str
    keys: tuple[str, ...] = field(repr=False)
    table: UpstreamTable = field(repr=False)


@dataclass(frozen=True, slots=True)
class Model:
    """One model, and where it is served: upstreams, each with the model's name there."""

    card: ModelCard
    places: tuple[tuple[str, str], ...]
    free: bool = False


@dataclass(frozen=True, slots=True)
class Serving:
    """Every upstream and every model of the configuration, in order; the embedded model is not among them."""

    upstreams: Mapping[str, Upstream] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)


def read_serving(
    document: Mapping[str, object], environment: Mapping[str, str], deepseek: DeepSeek, faults: list[str]
) -> Serving:
    """Both tables of the whole file; DeepSeek is there without any where it has a key. Faults are appended."""
    upstreams: dict[str, Upstream] = {}
    tables = _tables(document, "upstreams", faults)
    if DEEPSEEK not in tables and deepseek.api_key:
        own = UpstreamTable(kind=DEEPSEEK, allow_plaintext=deepseek.allow_plaintext)
        upstreams[DEEPSEEK] = Upstream(DEEPSEEK, DEEPSEEK, deepseek.base_url, (deepseek.api_key,), own)
    for name, table in tables.items():
        upstreams[name] = _upstream(name, table, environment, deepseek, faults)
    # A name that is wrong in one place is a fault there, and not in every place that uses it.
    models = _models(document, upstreams, faults)
    faults += _name_faults(models.values())
    served = {place for model in models.values() for place, _ in model.places}
    # Of a kind that is wrong nobody knows which models it brings.
    faults += [
        f"upstreams.{name}: no model is served there; name it in the upstreams of a [models.…] table"
        for name, upstream in upstreams.items()
        if name not in served and upstream.kind in PROFILES
    ]
    return Serving(upstreams, models)


def _upstream(
    name: str, table: object, environment: Mapping[str, str], deepseek: DeepSeek, faults: list[str]
) -> Upstream:
    where = f"upstreams.{name}"
    if UPSTREAM_NAME.fullmatch(name) is None:
        faults.append(f"{where}: an upstream is named [a-z0-9][a-z0-9-]*, at most 63 characters")
    found: list[str] = []
    # Its variables are GATEWAY_UPSTREAM_<NAME>_KEY and so on, without the s of the table.
    read = read_table(UpstreamTable, table, environment, f"upstream.{name}", found)
    faults += [re.sub(r"^(\[?)upstream\.", r"\1upstreams.", fault) for fault in found]
    if not read.kind and not any(fault.startswith(f"{where}.kind") for fault in faults):
        faults.append(f"{where}.kind: missing; it is one of {', '.join(PROFILES)}")
    profile = PROFILES.get(read.kind)
    own = name == DEEPSEEK and read.kind == DEEPSEEK
    base_url = read.base_url or (deepseek.base_url if own else "") or (profile.base_url if profile else "")
    if profile and not base_url:
        faults.append(f"{where}.base_url: missing; {read.kind} has no address of its own")
    if schema.is_plaintext(base_url) and not read.allow_plaintext:
        faults.append(
            f"{where}.base_url: {base_url} is plain HTTP to another machine; use https, or set "
            f"allow_plaintext = true in [{where}]"
        )
    keys = (*read.key, *_from_files(read.key_files, where, faults))
    keys = keys or ((deepseek.api_key,) if own and deepseek.api_key else ())
    if profile and profile.needs_key and not keys:
        variable = f"GATEWAY_UPSTREAM_{name.upper().replace('-', '_')}_KEY"
        faults.append(f"{where}.key: missing; set {variable}, {variable}_FILE or key_files")
    return Upstream(name, read.kind, base_url, keys, read)


def _from_files(paths: Sequence[str], where: str, faults: list[str]) -> Iterator[str]:
    for path in paths:
        try:
            key = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            faults.append(f"{where}.key_files: cannot read {path}")
            continue
        fault = schema.header_text(key) or (None if key else "it is empty")
        if fault:
            faults.append(f"{where}.key_files: {path}: {fault}")
        else:
            yield key


def _models(
    document: Mapping[str, object],
    upstreams: Mapping[str, Upstream],
    faults: list[str],
) -> dict[str, Model]:
    """What the profiles of the upstreams bring, each replaced by the file's own table of that name, then the
    rest."""
    known: dict[str, Model] = {}
    for upstream in upstreams.values():
        profile = PROFILES.get(upstream.kind)
        for card in profile.cards if profile else ():
            before = known.get(card.name, Model(card, ()))
            known[card.name] = replace(before, places=(*before.places, (upstream.name, card.name)))
    for name, table in _tables(document, "models", faults).items():
        known[name] = _model(name, table, known.get(name), upstreams, faults)
    return known


def _model(
    name: str, table: object, known: Model | None, upstreams: Mapping[str, Upstream], faults: list[str]
) -> Model:
    where = f"models.{name}"
    # Models have no variables: their names hold what no variable's name may.
    read = read_table(ModelTable, table, {}, where, faults)
    if MODEL_NAME.fullmatch(name) is None or name == EMBEDDED:
        faults.append(f"{where}: a model's name has 1 to 128 printable characters, and embedded is taken")
    places = tuple(_places(read.upstreams, name, where, upstreams, faults)) or (known.places if known else ())
    if not places and not read.upstreams:
        faults.append(f"{where}.upstreams: missing; name the upstreams that serve it")
    odd = sorted(set(read.capabilities) - set(CAPABILITIES))
    faults += [f"{where}.capabilities: {word!r} is none of {', '.join(CAPABILITIES)}" for word in odd]
    cards = {card.name: card for profile in PROFILES.values() for card in profile.cards}
    base = cards.get(name, ModelCard(name, "", "", 0, 0))
    card = replace(
        base,
        owner=read.owner or base.owner or name,
        provider=places[0][0] if places else "",
        context_tokens=read.context_tokens or base.context_tokens,
        max_output_tokens=read.max_output_tokens or base.max_output_tokens,
        capabilities=("streaming", *read.capabilities)
        if read.capabilities
        else base.capabilities or ("streaming",),
        aliases=read.aliases or base.aliases,
        family=read.family or base.family,
    )
    faults += [
        f"{where}.{limit}: missing; say how many tokens {what}"
        for limit, what in LIMITS.items()
        if getattr(card, limit) == 0 and not any(fault.startswith(f"{where}.{limit}:") for fault in faults)
    ]
    if card.max_output_tokens > card.context_tokens > 0:
        faults.append(f"{where}.max_output_tokens: more than its context_tokens")
    if read.free and not all(upstreams[place].table.local for place, _ in places):
        faults.append(f"{where}.free: only where every upstream of the model is local = true; give it a price")
    return Model(card, places, read.free)


def _places(
    words: Iterable[str], name: str, where: str, upstreams: Mapping[str, Upstream], faults: list[str]
) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for word in words:
        upstream, _, there = word.partition(":")
        if upstream not in upstreams:
            known = ", ".join(upstreams) or "none"
            faults.append(f"{where}.upstreams: there is no upstream {upstream!r}; there are {known}")
        elif upstream in seen:
            faults.append(f"{where}.upstreams: {upstream} stands there twice")
        else:
            seen.add(upstream)
            yield upstream, there or name


def _name_faults(models: Iterable[Model]) -> Iterator[str]:
    """Every name and alias belongs to one model."""
    owners: dict[str, str] = {EMBEDDED: EMBEDDED}
    listed = list(models)
    for model in listed:
        owners[model.card.name] = model.card.name
    for model in listed:
        name = model.card.name
        for alias in (*model.card.aliases, *model.card.thinking_aliases):
            owner = owners.setdefault(alias, name)
            if owner != name or alias == name:
                yield f"models.{name}.aliases: {alias!r} is the name or an alias of {owner} already"


def _tables(document: Mapping[str, object], section: str, faults: list[str]) -> Mapping[str, object]:
    tables = document.get(section, {})
    if isinstance(tables, dict):
        return tables
    faults.append(f"[{section}] must be a table")
    return {}
