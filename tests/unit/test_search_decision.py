"""Which questions are searched, and with which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.turn import SearchMode
from gateway.search.decide import MAX_QUERY_CHARS, Decision, decide

SEARCHED = {
    "What is the capital of France?": "question",
    "who invented the telephone": "question",
    "Why is the sky blue?": "question",
    "Is Redis single threaded?": "question",
    "latest version of PostgreSQL": "fresh",
    "Weather in Berlin tomorrow": "fresh",
    "redis cluster failover": "lookup",
    "Explain quicksort": "lookup",
    "Summarize the causes of World War I": "lookup",
    "Compare Postgres and MySQL replication": "lookup",
    "write a report about the EV market": "lookup",
    "It seems that they gave Ada Lovelace the credit for it in 1843 and then never again": "facts",
    "summarize https://example.com/post": "url",
    "translate https://example.com/post": "url",
    "convert 100 USD to EUR": "facts",
    "Please search the web for good hiking boots": None,
    "I like cats. What do they eat?": "question",
    "write a poem about today's news": "fresh",
    "法国的首都是哪里": "question",
    "深度求索公司是什么时候成立的？": "question",
    "上海明天的天气": "fresh",
    "特斯拉最新股价": "fresh",
    "介绍一下Redis": "lookup",
    "对比一下MySQL和PostgreSQL": "lookup",
    "帮我查一下重庆人口": None,
    "请假制度": "lookup",
    "Redis怎么持久化": "question",
}
NOT_SEARCHED = {
    "hello": "small_talk",
    "Hi there, how are you?": "small_talk",
    "thanks a lot!": "small_talk",
    "OK, great": "small_talk",
    "who are you?": "small_talk",
    "你好": "small_talk",
    "早上好！": "small_talk",
    "谢谢你": "small_talk",
    "好的，明白了": "small_talk",
    "哈哈哈哈": "small_talk",
    "12*7": "arithmetic",
    "what is 3 + 4?": "arithmetic",
    "3 加 4 等于多少？": "arithmetic",
    "(2.5 + 3) / 4 =": "arithmetic",
    "write a poem about autumn": "creative",
    "Can you write a Python function that reverses a list?": "creative",
    "tell me a story about a dragon": "creative",
    "写一首关于秋天的诗": "creative",
    "帮我写一个排序的函数": "creative",
    "translate this: what's the weather today?": "given_text",
    "Summarize the following text: prices rose in 2025.": "given_text",
    "fix my sentence: he go home": "given_text",
    "总结以下文字：今天天气很好": "given_text",
    '把"你好"翻译成英文': "given_text",
    "I feel tired today": "personal",
    "我今天很累": "personal",
    "continue": "conversation",
    "what did I just say?": "conversation",
    "继续": "conversation",
    "": "empty",
    "  \n ": "empty",
    "😀": "empty",
    "???": "empty",
    "OK, the build passed and everything seems to be in order after all that work we did": "statement",
}


@pytest.mark.parametrize(("question", "reason"), SEARCHED.items())
def test_auto_searches_questions_and_lookups(question: str, reason: str | None) -> None:
    """What asks about the world outside is searched, with a query of its own words."""
    decision = decide(question, SearchMode.AUTO)
    assert decision.search
    assert decision.query
    assert reason in (None, decision.reason)


@pytest.mark.parametrize(("question", "reason"), NOT_SEARCHED.items())
def test_auto_leaves_talk_creation_and_given_text_alone(question: str, reason: str) -> None:
    """What needs nothing from outside is not searched, and the reason has a name."""
    assert decide(question, SearchMode.AUTO) == Decision(False, "", reason)


def test_the_modes_overrule_the_rules() -> None:
    """NEVER never searches, ALWAYS searches even a greeting, but not a text without a word."""
    assert not decide("What is Redis?", SearchMode.NEVER).search
    assert decide("hello", SearchMode.ALWAYS).query == "hello"
    assert decide("  ?! ", SearchMode.ALWAYS).reason == "empty"


@pytest.mark.parametrize(
    ("question", "query"),
    [
        ("Could you please tell me who invented the telephone? Thanks!", "who invented the telephone"),
        ("Hi, what is Redis?", "what is Redis"),
        ("I would like to know about the nonexistent land of Freedonia", "the nonexistent land of Freedonia"),
        ("请问深度求索公司是什么时候成立的？", "深度求索公司是什么时候成立的"),
        ("帮我查一下重庆人口，谢谢", "重庆人口"),
        ("查理一世是谁", "查理一世是谁"),
        ("请假制度", "请假制度"),
        ("What   is\n Redis?", "What is Redis"),
    ],
)
def test_the_query_is_the_question_without_its_courtesies(question: str, query: str) -> None:
    """Only polite words at both ends go; the user's own words stay, in their order."""
    assert decide(question, SearchMode.ALWAYS).query == query


def test_a_follow_up_borrows_the_words_it_leans_on() -> None:
    """`and on Redis?` is about what was asked before: its words come after the user's own."""
    decision = decide("and on Redis?", SearchMode.AUTO, ["hi", "How do I set a connection timeout in Postgres?"])
    assert decision.query == "and on Redis set connection timeout Postgres"
    chinese = decide("那它呢？", SearchMode.AUTO, ["Redis 的持久化怎么配置？"])
    assert chinese.search
    assert chinese.query.startswith("那它呢")
    assert {"Redis", "持久化", "配置"} <= set(chinese.query.split())


def test_a_bare_why_is_searched_only_with_something_before_it() -> None:
    """Without a word of its own or before it there is nothing to look for."""
    assert decide("Why?", SearchMode.AUTO).reason == "empty"
    assert decide("Why?", SearchMode.AUTO, ["Redis is single threaded"]).reason == "follow_up"


@pytest.mark.parametrize(
    ("question", "previous", "query"),
    [
        ("and in 2025?", ["What was Iceland's GDP in 2024?"], "and in 2025 Iceland's GDP"),
        ("and in 2025?", ["What was Iceland's GDP in 2024?", "and in 2023?"], "and in 2025 Iceland's GDP"),
        ("2025?", ["What was Iceland's GDP in 2024?", "thanks!"], "2025 Iceland's GDP"),
        ("And Norway?", ["What was Iceland's GDP in 2024?"], "And Norway Iceland's GDP 2024"),
        ("那2025年呢？", ["冰岛2024年的GDP是多少？"], "那2025年呢 冰岛 GDP"),
        ("how many?", ["lakes of Finland"], "how many lakes Finland"),
        ("which is bigger?", ["Compare Saimaa and Inari"], "which is bigger Compare Saimaa Inari"),
        ("价格呢", ["特斯拉Model 3续航多少"], "价格呢 特斯拉 Model 3 续航"),
    ],
)
def test_a_follow_up_searches_with_what_it_follows(question: str, previous: list[str], query: str) -> None:
    """Back to the last question that stands alone; a year of its own takes the place of the years before it."""
    decision = decide(question, SearchMode.AUTO, previous)
    assert (decision.search, decision.query) == (True, query)


def test_a_question_that_stands_alone_borrows_nothing() -> None:
    """Earlier messages do not leak into a question of its own."""
    assert decide("What is the capital of France?", SearchMode.AUTO, ["Tell me about Redis"]).query == (
        "What is the capital of France"
    )


def test_of_a_long_paste_the_asking_sentence_is_the_query() -> None:
    """The query of a long text is its question, not its first 256 characters."""
    paste = "The server logged many lines. " * 300 + "Why does nginx answer 502 behind a load balancer?"
    assert decide(paste, SearchMode.AUTO).query == "Why does nginx answer 502 behind a load balancer?"[:-1]


@given(st.text(max_size=600), st.sampled_from(SearchMode), st.lists(st.text(max_size=80), max_size=3))
def test_every_decision_is_bounded_and_whole(question: str, mode: SearchMode, previous: list[str]) -> None:
    """A query is there exactly when a search is, is bounded, and every decision has a reason."""
    decision = decide(question, mode, previous)
    assert bool(decision.query) == decision.search
    assert len(decision.query) <= MAX_QUERY_CHARS
    assert decision.reason


@pytest.mark.parametrize(
    "hostile",
    ["哈" * 4000 + "x", "hi " * 1300 + "x", "1+" * 2000 + "a", "please " * 900, "a." * 2000, " " * 9000 + "x?"],
)
def test_no_text_makes_the_rules_backtrack(hostile: str) -> None:
    """Repetitive text is decided too; a backtracking pattern would never come back."""
    assert decide(hostile, SearchMode.AUTO).reason
