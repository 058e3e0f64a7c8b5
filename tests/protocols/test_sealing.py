"""What leaves the process is sealed for one tenant, kind and name; its salt gone, nobody reads it again."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.domain.errors import OperatorError, Reason
from gateway.sealing import BrokenSeal, Label
from gateway.sealing.envelope import HEADER_BYTES, OVERHEAD, bound_to, unpacked
from gateway.sealing.salt_files import SaltFiles
from gateway.sealing.salts import CONFIRM_S, TRUST_S, Salts
from gateway.sealing.sealer import Sealer

OLD, NEW, SALT = b"o" * 32, b"k" * 32, b"s" * 32
LABEL = Label("acme", "answer", "ab12")
# NIST's "Galois/Counter Mode of Operation", AES-256: test cases 14 and 16 (key, nonce, data, plain text, sealed).
KNOWN = [
    ("00" * 32, "00" * 12, "", "00" * 16, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"),
    (
        "feffe9928665731c6d6a8f9467308308" * 2,
        "cafebabefacedbaddecaf888",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
        "b16aedf5aa0de657ba637b39",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
        "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
    ),
]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("key", "nonce", "data", "plain", "sealed"), KNOWN)
def test_the_cipher_is_the_one_of_the_standard(key: str, nonce: str, data: str, plain: str, sealed: str) -> None:
    """AES-256-GCM, by known answers."""
    found = AESGCM(bytes.fromhex(key)).encrypt(*map(bytes.fromhex, (nonce, plain, data)))
    assert found.hex() == sealed


def test_what_was_sealed_opens_under_its_own_label_alone() -> None:
    """Another tenant, kind, name or salt, another place of the border between them: broken, not garbled."""
    sealer = Sealer([NEW])
    value = sealer.seal(LABEL, SALT, b"content")
    assert sealer.open(LABEL, SALT, value) == b"content"
    others = [
        Label("acme2", "answer", "ab12"),
        Label("acme", "turn", "ab12"),
        Label("acme", "answer", "ab13"),
        Label("acmeanswer", "", "ab12"),
        Label("acme", "answerab12", ""),
    ]
    for label in others:
        with pytest.raises(BrokenSeal):
            sealer.open(label, SALT, value)
    with pytest.raises(BrokenSeal):
        sealer.open(LABEL, b"t" * 32, value)


def test_no_byte_can_be_changed_and_none_left_out() -> None:
    """Of version, key id, epoch, nonce, text and tag; nor is anything shorter, or plain, taken for a seal."""
    sealer = Sealer([NEW])
    value = sealer.seal(LABEL, SALT, b"content")
    changed = [value[:place] + bytes((value[place] ^ 1,)) + value[place + 1 :] for place in range(len(value))]
    for bad in (*changed, *(value[:end] for end in range(len(value))), b"", b"content" * 20):
        with pytest.raises(BrokenSeal):
            sealer.open(LABEL, SALT, bad)


def test_labels_of_different_parts_are_bound_differently() -> None:
    """Every part has its length before it, so no two labels give the same bytes."""
    labels = [Label("ab", "c", ""), Label("a", "bc", ""), Label("abc", "", ""), Label("", "", "abc")]
    assert len({bound_to(label, b"i") for label in labels}) == len(labels)


def test_an_old_key_still_reads_and_the_new_one_writes() -> None:
    """Until the operator takes the old one away; names of things stay while it is there."""
    before, both, after = Sealer([OLD]), Sealer([NEW, OLD]), Sealer([NEW])
    value = before.seal(LABEL, SALT, b"content")
    assert both.open(LABEL, SALT, value) == b"content"
    assert after.open(LABEL, SALT, both.seal(LABEL, SALT, b"new")) == b"new"
    with pytest.raises(BrokenSeal, match="not known here"):
        after.open(LABEL, SALT, value)
    assert before.naming_key("acme", SALT) == both.naming_key("acme", SALT) != after.naming_key("acme", SALT)


def test_keys_wear_out_and_nonces_never_come_twice() -> None:
    """After so many seals, or 90 days, another key; every process has its own; the old seals stay readable."""
    clock = Clock()
    sealer, twin = Sealer([NEW], ticks=clock, epoch_operations=3), Sealer([NEW])
    values = [sealer.seal(LABEL, SALT, b"x") for _ in range(7)]
    clock.now = 91 * 86_400.0
    values.append(sealer.seal(LABEL, SALT, b"x"))
    values.append(twin.seal(LABEL, SALT, b"x"))
    epochs = [unpacked(value).epoch for value in values]
    assert [len(set(epochs[start : start + 3])) for start in (0, 3)] == [1, 1]
    assert len(set(epochs)) == 5
    assert len({unpacked(value).nonce for value in values}) == len(values)
    assert {twin.open(LABEL, SALT, value) for value in values} == {b"x"}
    assert {len(value) for value in values} == {OVERHEAD + 1}
    assert HEADER_BYTES == 29


@pytest.mark.parametrize("secrets", [[], [b"short"], [NEW, b""]])
def test_a_key_of_another_length_is_refused(secrets: list[bytes]) -> None:
    """32 bytes, and at least one of them."""
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(secrets)


# --- salts ----------------------------------------------------------------------------------------------


async def test_a_salt_is_made_once_and_gone_for_good(tmp_path: Path) -> None:
    """A second gateway of the directory has the same; destroyed, all of them have another within half a minute."""
    changed, clock = list[str](), Clock()
    box = SaltFiles(tmp_path / "salts")
    here, there = Salts(box, changed.append, ticks=clock), Salts(SaltFiles(tmp_path / "salts"), changed.append)
    salt = await here.of("acme")
    assert salt == await there.of("acme") != await here.of("other")
    (name,) = {path.name for path in (tmp_path / "salts").iterdir() if path.read_bytes() == salt}
    await box.destroy(name)
    assert await here.of("acme") == salt
    clock.now += CONFIRM_S
    again = await here.of("acme")
    assert (again != salt, changed) == (True, ["acme"])
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "salts").iterdir()} == {0o600}
    assert "acme" not in " ".join(path.name for path in (tmp_path / "salts").iterdir())


async def test_two_who_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    """Whoever comes second takes what the first one laid down."""
    box = SaltFiles(tmp_path)
    assert await box.make("n", b"1" * 32) == await box.make("n", b"2" * 32) == await box.read("n") == b"1" * 32


class Away:
    """A box that is away when a test says so."""

    def __init__(self, box: SaltFiles) -> None:
        self.box, self.away, self.asked = box, False, 0

    async def read(self, name: str) -> bytes | None:
        self.asked += 1
        if self.away:
            raise OperatorError(Reason.INTERNAL, "away")
        return await self.box.read(name)

    async def make(self, name: str, salt: bytes) -> bytes:
        return await self.box.make(name, salt)

    async def destroy(self, name: str) -> None:
        await self.box.destroy(name)


async def test_a_box_that_is_away_is_believed_for_a_while(tmp_path: Path) -> None:
    """What is known holds for ten minutes, the rest is nothing, and nobody asks more than once a second."""
    clock = Clock()
    box = Away(SaltFiles(tmp_path))
    salts = Salts(box, lambda _tenant: None, ticks=clock)
    salt = await salts.of("acme")
    box.away = True
    clock.now += CONFIRM_S
    assert (await salts.of("acme"), await salts.of("new"), await salts.of("new")) == (salt, None, None)
    asked = box.asked
    assert (await salts.of("acme"), box.asked) == (salt, asked)
    clock.now += TRUST_S
    assert await salts.of("acme") is None
    box.away = False
    clock.now += 1.0
    assert await salts.of("acme") == salt


async def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """The operator learns which, and what to do."""
    (tmp_path / "salts").write_text("a file")
    with pytest.raises(OperatorError, match="make the folder the gateway user's own"):
        await SaltFiles(tmp_path / "salts").make("n", SALT)
