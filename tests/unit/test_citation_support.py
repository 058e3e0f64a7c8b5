"""Whether a cited source says what the answer says, judged by its wording."""

import pytest

from gateway.domain.events import Citation, Source, Support
from gateway.search.support import SupportChecker, check, checked

REDIS = Source(
    "S1",
    "https://redis.example/",
    "Redis - overview",
    "",
    "brave",
    passage="Redis is an open-source, in-memory data store. It was created by Salvatore Sanfilippo in 2009. "
    "Redis 7.2 was released on August 15, 2023 and has 3,000,000 users. It does not support SQL.",
)
COMPANY = Source(
    "S2",
    "https://firma.example/",
    "深度求索",
    "",
    "brave",
    passage="深度求索公司成立于2023年7月17日,总部位于杭州。公司不提供汽车业务。用户超过3000万。",
)


@pytest.mark.parametrize(
    ("claim", "support"),
    [
        ("Redis was created by Salvatore Sanfilippo in 2009.", Support.STATED),
        ("Redis was created in 2011 by Salvatore Sanfilippo.", Support.PARTLY),
        ("Version 9.9 of Redis came in 1999.", Support.NOT_FOUND),
        ("Redis was released on 15 August 2023.", Support.STATED),
        ("Redis 7.2 was released in August 2023.", Support.STATED),
        ("Redis 7.2 was released on 2023-08-16.", Support.PARTLY),
        ("It has 3 million users.", Support.STATED),
        ("It has 4 million users.", Support.PARTLY),
        ("Redis does not support SQL.", Support.STATED),
        ("Redis supports SQL.", Support.PARTLY),
        ("Redis is an in-memory data store by Linus Torvalds.", Support.PARTLY),
        ("Bananas grow in Ecuador.", Support.NOT_FOUND),
    ],
)
def test_english_claims(claim: str, support: Support) -> None:
    """Numbers, dates in any spelling, names, denial and words all count."""
    assert check(claim, REDIS)[0] is support


@pytest.mark.parametrize(
    ("claim", "support"),
    [
        ("深度求索于2023年7月成立。", Support.STATED),
        ("深度求索成立于2021年。", Support.PARTLY),
        ("总部在杭州。", Support.STATED),
        ("用户超过3000万。", Support.STATED),
        ("该公司提供汽车业务。", Support.PARTLY),
        ("苹果公司总部在加州。", Support.NOT_FOUND),
    ],
)
def test_chinese_claims(claim: str, support: Support) -> None:
    """The same without spaces between words."""
    assert check(claim, COMPANY)[0] is support


def test_the_evidence_is_the_sentence_of_the_source() -> None:
    """The caller sees the words that come closest, and none where nothing was found."""
    assert (
        check("Salvatore Sanfilippo created Redis in 2009", REDIS)[1]
        == "It was created by Salvatore Sanfilippo in 2009."
    )
    assert check("Bananas grow in Ecuador.", REDIS)[1] == ""


def test_a_claim_over_two_sentences_is_found() -> None:
    """Facts that stand in neighbouring sentences are together enough."""
    support, evidence = check(
        "Redis, an in-memory data store, was created in 2009 by Salvatore Sanfilippo.", REDIS
    )
    assert support is Support.STATED
    assert evidence.count(".") >= 2


def test_another_language_is_not_called_unsupported() -> None:
    """Words of another script cannot be compared; shared names and numbers still can."""
    assert check("Redis 是一种内存数据库。", COMPANY)[0] is Support.NOT_FOUND
    assert check("这是一种数据存储。", REDIS) == (Support.UNCHECKED, "")
    assert check("Redis 由 Salvatore Sanfilippo 于2009年创建。", REDIS)[0] is Support.PARTLY


@pytest.mark.parametrize("claim", ["", "   ", "...", "It is."])
def test_a_claim_without_content_is_unchecked(claim: str) -> None:
    """Where nothing is said nothing can be confirmed or denied."""
    assert check(claim, REDIS) == (Support.UNCHECKED, "")


def test_a_source_without_text_supports_nothing() -> None:
    """An empty passage falls back to the snippet, and an empty snippet finds nothing."""
    empty = Source("S1", "https://e.example/", "", "", "brave")
    assert check("Redis is fast.", empty) == (Support.NOT_FOUND, "")
    snippet = Source("S1", "https://e.example/", "", "Redis is fast.", "brave")
    assert check("Redis is fast.", snippet)[0] is Support.STATED


def test_of_several_sources_the_best_counts() -> None:
    """A citation of two sources has the support of the one that says it."""
    citation = Citation(0, 10, ("S1", "S2"))
    found = SupportChecker([REDIS, COMPANY]).check(citation, "Redis was created in 2009.")
    assert found.support is Support.STATED
    assert found.source_ids == ("S1", "S2")
    assert checked(citation, "Redis was created in 2009.", [REDIS, COMPANY]) == found


def test_a_citation_of_an_unknown_source_stays_as_it_is() -> None:
    """Nothing to compare with, nothing to say."""
    citation = Citation(0, 10, ("S7",))
    assert SupportChecker([REDIS]).check(citation, "Redis is fast.") == citation
