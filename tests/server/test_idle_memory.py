"""What a gateway that runs and waits has loaded: what a setting asks for comes with the setting, not before."""

from pathlib import Path

import pytest

from tests.support.served_gateway import served

NEEDED = {"grpc", "aiohttp"}
NOT_ASKED_FOR = {"psycopg_binary", "hiredis", "sqlalchemy", "lxml"}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists the libraries of a process")
def test_an_idle_gateway_holds_no_library_that_its_settings_do_not_ask_for(tmp_path: Path) -> None:
    """Also once it has made its tables; each of these brings compiled files, which the kernel lists."""
    with served(tmp_path) as gateway:
        assert (gateway.data_dir / "receipts.db").exists()
        maps = Path(f"/proc/{gateway.process.pid}/maps").read_text(encoding="utf-8")
    places = (line.rpartition("site-packages/") for line in maps.splitlines() if ".so" in line)
    held = {library.split("/")[0] for _, found, library in places if found}
    assert held >= NEEDED
    assert not held & NOT_ASKED_FOR
