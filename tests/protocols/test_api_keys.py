"""API keys: shown once, kept as digests, followed within a second."""

import json
import stat
from pathlib import Path

import pytest

from gateway.auth.api_key import ApiKeyAuthenticator, ApiKeyFile
from gateway.auth.api_key_record import KEY_FORMAT, NEVER, read_records
from gateway.domain.call import Caller
from gateway.domain.errors import CallerError, OperatorError, Reason
from tests.support.identity import NOW, ManualClock, bearer


class Scene:
    """A data directory with its keys, and an authenticator over them."""

    def __init__(self, directory: Path) -> None:
        self.file = ApiKeyFile(directory)
        self.clock = ManualClock()
        self.now = NOW
        self.withdrawn: set[str] = set()
        self.keys = ApiKeyAuthenticator(
            self.file,
            revoked=lambda caller: caller.subject in self.withdrawn,
            now=lambda: self.now,
            clock=self.clock,
        )

    def create(self, **changes: object) -> tuple[str, str]:
        """A key and its prefix, known to the authenticator."""
        values = {"tenant": "acme", "scope": "model.stream search", "now": NOW, **changes}
        key, record = self.file.create(**values)
        self.clock.now += 1
        return key, record.prefix

    async def outcome(self, key: str | None) -> Caller | Reason:
        """The caller, or why there is none."""
        try:
            return await self.keys.authenticate(bearer(key))
        except CallerError as error:
            assert (error.message, error.facts) == ("invalid_token", {})
            return error.reason


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_a_created_key_is_its_caller(scene: Scene) -> None:
    """Tenant, scopes and expiry come from the record; the prefix names the key and is no secret."""
    key, prefix = scene.create(subject="dify", ttl_s=3600)
    assert await scene.outcome(key) == Caller(
        tenant="acme",
        subject="dify",
        client_id=prefix,
        scopes=frozenset({"model.stream", "search"}),
        expires_at=NOW + 3600,
        credential_id=prefix,
    )
    assert KEY_FORMAT.fullmatch(key)
    assert key.startswith(prefix + "_")


async def test_a_key_without_expiry_lasts_and_can_be_written_as_a_date(scene: Scene) -> None:
    """The year 9999 stands for never, because every format can say it."""
    key, prefix = scene.create()
    scene.now = NOW + 3_000_000_000
    caller = await scene.outcome(key)
    assert isinstance(caller, Caller)
    assert (caller.expires_at, caller.subject) == (NEVER, prefix)


async def test_the_key_itself_is_nowhere_on_disk(scene: Scene, tmp_path: Path) -> None:
    """Neither whole nor its secret part, in no file; the files are their owner's."""
    key, _ = scene.create()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"keys.json", "hmac.key", ".lock"}
    for path in files:
        assert key.rpartition("_")[2].encode() not in path.read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


async def test_an_expired_key_is_refused(scene: Scene) -> None:
    """To the second."""
    key, _ = scene.create(ttl_s=60)
    scene.now = NOW + 59
    assert isinstance(await scene.outcome(key), Caller)
    scene.now = NOW + 60
    assert await scene.outcome(key) is Reason.TOKEN_INVALID


async def test_a_revoked_key_is_refused_within_a_second(scene: Scene) -> None:
    """Only that one, and for good; revoking twice keeps the first moment."""
    key, prefix = scene.create()
    other, _ = scene.create()
    scene.file.revoke(prefix, NOW + 5)
    scene.file.revoke(prefix, NOW + 9)
    scene.clock.now += 1
    assert await scene.outcome(key) is Reason.REVOKED
    assert isinstance(await scene.outcome(other), Caller)
    assert [record.revoked_at for record in scene.file.records()] == [int(NOW) + 5, 0]


async def test_a_revoked_subject_is_refused(scene: Scene) -> None:
    """The same question that is asked about tokens."""
    key, _ = scene.create(subject="dify")
    scene.withdrawn = {"dify"}
    assert await scene.outcome(key) is Reason.REVOKED


async def test_no_part_of_a_key_is_a_key(scene: Scene) -> None:
    """A prefix, a cut, a longer or changed key, another secret behind the right prefix: all unknown."""
    key, prefix = scene.create()
    other, _ = scene.create()
    flipped = key[:-1] + ("A" if key[-1] != "A" else "B")
    mixed = prefix + other[len(prefix) :]
    wrong = [
        prefix,
        key[:-1],
        key + "A",
        flipped,
        mixed,
        key.upper(),
        " " + key,
        key + "\n",
        "gw_",
        "gw_é",
        "gw_\ud800",
        "",
    ]
    for text in [*wrong, key * 1000, None]:
        assert await scene.outcome(text) is Reason.TOKEN_INVALID


async def test_keys_of_another_installation_are_unknown(scene: Scene, tmp_path: Path) -> None:
    """Records copied without the secret they were made under recognise nothing."""
    key, _ = scene.create()
    elsewhere = Scene(tmp_path / "other")
    elsewhere.file.path.write_bytes(scene.file.path.read_bytes())
    elsewhere.clock.now += 1
    assert await elsewhere.outcome(key) is Reason.TOKEN_INVALID


def test_keys_are_listed_in_order_without_secrets(scene: Scene) -> None:
    """Oldest first, the revoked ones too."""
    made = [scene.create()[1] for _ in range(3)]
    scene.file.revoke(made[0], NOW)
    assert [record.prefix for record in scene.file.records()] == made
    assert len(set(made)) == 3


def test_revoking_what_does_not_exist_is_told(scene: Scene) -> None:
    """With the command that shows what does."""
    with pytest.raises(CallerError, match="gateway key list"):
        scene.file.revoke("gw_aaaaaaaa", NOW)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tenant": "A:B"}, "tenant"),
        ({"scope": ""}, "scope"),
        ({"scope": " "}, "scope"),
        ({"scope": "a\nb"}, "scope"),
        ({"subject": "a\x00"}, "subject"),
        ({"ttl_s": 0}, "ttl"),
    ],
)
def test_a_bad_value_makes_no_key(changes: dict[str, object], field: str, scene: Scene) -> None:
    """The field is named and nothing is written."""
    with pytest.raises(CallerError) as refused:
        scene.create(**changes)
    assert refused.value.fields[0].field == field
    assert scene.file.records() == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"keys": [{}]}', b'{"keys": [{"prefix": 1}]}'])
async def test_a_broken_file_keeps_the_keys_that_were_good(
    content: bytes, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Serving goes on with the last good content and a warning; managing keys says what is wrong."""
    key, _ = scene.create()
    assert isinstance(await scene.outcome(key), Caller)
    scene.file.path.write_bytes(content)
    scene.clock.now += 1
    assert isinstance(await scene.outcome(key), Caller)
    assert "keys.json" in caplog.text
    with pytest.raises(OperatorError, match=r"keys\.json"):
        scene.file.records()
    with pytest.raises(OperatorError, match=r"keys\.json"):
        scene.create()


def test_a_broken_secret_is_told_and_not_replaced(scene: Scene) -> None:
    """A new one would silently end every key."""
    path = scene.file.directory / "hmac.key"
    path.write_bytes(b"short")
    with pytest.raises(OperatorError, match=r"hmac\.key"):
        ApiKeyAuthenticator(scene.file)
    assert path.read_bytes() == b"short"


def test_a_malformed_record_is_told_by_its_number(scene: Scene) -> None:
    """A file that was edited by hand is judged record by record."""
    scene.create()
    document = json.loads(scene.file.path.read_bytes())
    document["keys"][0]["scopes"] = ["ok", 7]
    with pytest.raises(ValueError, match="key 1"):
        read_records(json.dumps(document).encode())
