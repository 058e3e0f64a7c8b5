"""The English and Chinese phrases by which `decide` tells a look-up from small talk; patterns only, pure.

Possessive and atomic groups keep repeated alternatives from backtracking: the text is a stranger's.
"""

import re


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.VERBOSE | re.DOTALL)


COURTESY_FIRST = _words(
    r"""^(?:[\s,，。.!！、:：]+
    | (?:please|pls|kindly|hi|hello|hey|ok|okay|so|well|um)\b(?:\s+there\b)?(?=[\s,!.]+\S)
    | (?:can|could|would|will)\s+you\s+(?:please\s+|kindly\s+)?(?=\w)
    | (?:help\s+me\s+(?:to\s+)?)(?=\w)
    | i(?:\s+would|'d|’d)?\s+(?:want|like|need)\s+to\s+(?:know|ask|find\s+out|understand)\s*(?:about\s+)?
    | i(?:\s+was|'m|\s+am)?\s+wonder(?:ing)?\s+(?:if\s+)?
    | (?:do|would)\s+you\s+(?:happen\s+to\s+)?know\s+
    | tell\s+me\s+(?:about\s+)?(?!a\b)
    | (?:search|google|browse)\s+(?:the\s+)?(?:web|internet|online)?\s*(?:for\s+)(?=\w)
    | (?:look\s+up|google|find\s+out)\s+(?=\w)
    | [你您]好(?=[,，\s!！]+\S)
    | 请问|请(?=帮|告诉|介绍|说明|解释|搜|查|列|给|你|您|把|写|翻译|总结)
    | 麻烦[你您]?|(?:你|您)?(?:能不能|能否|可不可以|可以|能)(?=帮|告诉|给|查|搜|介绍|解释|说)
    | 帮我|给我|帮忙|告诉我|我想(?:要)?(?:知道|问|了解|查)(?:一下)?|你知道
    | (?:介绍|说明|讲解)一下|(?:联网|上网|在网上)(?=搜|查)
    | 查(?:一下|查看|询一下|一查)|查查(?!理)|搜(?:索一下|一下|一搜|索)|一下
    )\s*"""
)
COURTESY_LAST = _words(
    r"(?:[\s,，。.!！?？~～…]+ | (?<![a-z])(?:please|pls|thanks|thank\s+you|thx) | 谢谢[你您啦了]* | 多谢 )$"
)
REQUESTED = _words(
    r"""\b(?:search|google|browse)\s+(?:the\s+)?(?:web|internet|online|for)\b
    | \blook\s+(?:it\s+|this\s+)?up\b | \bcite\s+(?:your\s+)?sources\b
    | \b(?:find|give)\s+(?:me\s+)?(?:sources?|references?|links?|articles?|papers?)\b
    | 搜索?一下|搜一搜|帮.{0,3}搜|联网|上网查|查一下|查一查|查询|检索|给出(?:来源|出处|链接)"""
)
URL = _words(r"https?://\S | \bwww\.\w | \b[\w-]{1,63}\.(?:com|org|net|io|cn|dev|gov|edu|ai|de|uk|info)\b")
FRESH = _words(
    r"""\b(?:latest|newest|currently?|today|tonight|yesterday|tomorrow|right\s+now|recent(?:ly)?|nowadays|news
    |weather|forecast|headlines?|this\s+(?:week|month|year|quarter)|last\s+(?:night|week|month|year)
    |up[\s-]to[\s-]date|(?:stock|share|bitcoin|gold|oil)\s+price|exchange\s+rate|release\s+date|as\s+of)\b
    | 最新|最近|近期|今天|今日|今晚|昨天|明天|现在|目前|当前|如今|今年|去年|本周|本月
    | 新闻|天气|股价|汇率|比分|实时|热搜"""
)
QUESTION = _words(
    r"""[?？] | ^(?:what|who|whom|whose|when|where|why|which|how)(?:'s|’s|'re)?\b
    | ^(?:is|are|was|were|do|does|did|can|could|should|would|will|has|have|had|isn't|aren't|doesn't|don't)\s+\w
    | 什么|谁|哪|何时|何地|为何|怎么|怎样|怎能|如何|多少|是否|有没有|能否|是不是|会不会|[吗呢](?:\W|$)
    | 几[个年月天点岁次种位]|多[大高长久远重]"""
)
LOOKUP = _words(
    r"""^(?:explain|describe|define|compare|list|find|name|show|outline|recommend|summari[sz]e|research
    |overview\s+of|difference\s+between|history\s+of|meaning\s+of|give\s+me
    |write\s+(?:a|an|the)\s+(?:report|essay|article|overview))\b | ^(?:tell\s+me|learn)\s+about\b
    | ^(?:介绍|解释|说明|比较|对比|列出|列举|推荐|讲讲|说说|谈谈|总结|概括|盘点|查找|分析|定义)"""
)
FACTS = _words(
    r"""\b\d{4}\b | \b\d+(?:[.,]\d+)+\b | \b\d+\s?(?:%|percent|usd|eur|km|kg|gb|mb|ms|days?|years?)(?!\w)
    | \d+\s*(?:年|月|日|元|万|亿|%) | [《「“][^》」”]+[》」”] | \bv\d+
    | \b(?:january|february|march|april|june|july|august|september|october|november|december)\b"""
)
NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][A-Za-z0-9]+|\b[A-Z]{2,}\b|\b[A-Z][a-z]+(?: [A-Z][a-z]+)+")
# Inside an atomic group the first alternative that fits is final: the longer phrase stands before the shorter.
SMALL_TALK = _words(
    r"""(?>(?>
    hiya|hi|hello|hey|howdy|yo|greetings|good\s+(?:morning|afternoon|evening|night|day)|welcome|there|all
    |how\s+are\s+(?:you|things)(?:\s+(?:today|doing))?|how's\s+it\s+going|what's\s+up|sup|nice\s+to\s+meet\s+you
    |thanks?(?:\s+you)?|thx|ty|cheers|much\s+appreciated|(?:so|very)\s+much|a\s+lot
    |(?:that|this)\s+(?:was\s+|is\s+)?(?:great|helpful|perfect|helped)
    |great|perfect|cool|nice|awesome|wow|lol|haha++|ok(?:ay)?|sure|yes|yeah|yep|nope|no\s+problem|no
    |got\s+it|i\s+see|goodbye|bye|see\s+you(?:\s+later)?|take\s+care|sorry|please|again
    |who\s+are\s+you|what\s+are\s+you|what(?:'s|\s+is)\s+your\s+name|what\s+can\s+you\s+do
    |are\s+you\s+(?:there|a\s+(?:bot|robot|human|real\s+person))|tell\s+me\s+a\s+joke|test(?:ing)?
    |for\s+(?:the|your)\s+help|my\s+friend
    |[你您]好[呀啊吗]?|哈[喽罗]|嗨|嘿|早上好|上午好|中午好|下午好|晚上好|早安|晚安|早|在吗|在不在
    |谢谢[你您啦了]?|多谢|感谢|非常|十分|辛苦了|再见|拜拜|好吧|好的?|行|嗯++|哦|哈++|呵呵|可以|没事|没关系
    |不客气|对不起|抱歉|不用了?|收到|明白了?|知道了|[你您]是谁|[你您]叫什么(?:名字)?|[你您]能做什么|[你您]会什么
    |吃了吗|最近怎么样|讲个笑话|测试|太好了|真棒|厉害
    )[\W_]*+)++"""
)
ARITHMETIC = _words(
    r"""(?:what(?:'s|\s+is)|how\s+much\s+is|calculate|compute|evaluate|solve|请?计算(?:一下)?|请?算(?:一下)?)?
    [\s:：]*+(?=.*\d)(?!\d{4}-\d{1,2}-\d{1,2}\W*$)
    (?=.*(?:[-+*/×÷^%=√]|plus|minus|times|divided|squared|cubed|[加减乘除方]))
    (?>[\d\s.,+\-*/×÷^%()（）=√!]|(?<=[\d\s])x(?=[\d\s])|plus|minus|times|divided\s+by|squared|cubed
    |加上?|减去?|乘以?|除以?|的?[平立]方)++ (?:等于(?:多少|几)?|是(?:多少|几)|得(?:多少|几))?[\s?？。.]*+"""
)
GIVEN_TEXT = _words(
    r"""^(?:translate|rewrite|rephrase|paraphrase|proofread|spell-?check|polish|reformat|transcribe)\b
    | ^(?:correct|fix|check|summari[sz]e|shorten|simplify|condense|explain|analy[sz]e|improve|review|continue
        |expand|edit|convert|extract|classify|format|refactor|debug|turn|make|put)\b.{0,50}?
        \b(?:this|these|the\s+(?:following|above|text)|following|below|above|my)\b
    | ^(?:tl;?dr|summary)\s*: | ```
    | ^(?:翻译|[把将].{0,200}(?:翻译|译|改写|转换|改)[为成]|润色|改写|校对|缩写|扩写|续写)
    | ^.{0,6}(?:总结|概括|归纳|分析|解释|提取|修改|改进|优化|检查|纠正|简化|续写|概述).{0,10}
        (?:以下|下面|下列|下文|上面|上述|上文|这段|这篇|这句|此文|[:：]\s*\S)"""
)
CREATIVE = _words(
    r"""^(?:write|compose|draft|create|generate|make\s+up|invent|imagine|improvise|tell\s+(?:me\s+)?a|give\s+me\s+a
        |sing)\b.{0,60}?\b(?:poems?|poetry|story|stories|haikus?|songs?|lyrics|limericks?|jokes?|riddles?|slogans?
        |taglines?|tweets?|e-?mails?|letters?|speech|screenplay|script|dialogue|toast|rap|novel|fairy\s+tale
        |names?\s+for|functions?|code|program|class|regex|unit\s+tests?|sql)\b
    | ^(?:imagine|pretend|role-?play|act\s+as|let's\s+(?:play|pretend))\b
    | ^(?:写|作|编写?|创作|来|讲|生成|起草|画|设计)(?:一)?[首篇个段封则副句些条份]?.{0,20}?
        (?:诗|歌词|歌|故事|童话|笑话|情书|邮件|信|对联|小说|剧本|文案|口号|作文|代码|函数|脚本|程序|正则|谜语|祝福)
    | ^(?:假装|扮演|想象|假设你)"""
)
PERSONAL = _words(
    r"""^(?:i(?:'m|’m|\s+am|\s+feel|\s+(?:really\s+)?(?:like|love|hate|miss|think|believe|have|had|live|went)|'ve)
        |my|we)\b
    | ^我(?:今天|现在|最近|昨天)?(?:很|好|真|太|觉得|喜欢|讨厌|爱|有点|感觉|在家|心情|累|饿|困|住在|是一)"""
)
CONVERSATION = _words(
    r"""^(?:what\s+did\s+(?:i|you)\s+(?:just\s+)?(?:say|mean|ask)|(?:repeat|say)\s+(?:that|it|this)|go\s+on|continue
    |again|(?:make\s+it\s+)?(?:shorter|longer|simpler|more\s+\w+)\W*$|in\s+(?:english|chinese|one\s+sentence)\W*$
    |try\s+again|undo|stop|(?:what|who)\s+(?:are|were)\s+you\b|your\s+(?:name|instructions|prompt))\b
    | ^(?:继续|接着|重复|再说一遍|换个说法|简短[一点些]*|详细[一点些]*|用(?:中文|英文)|刚才|你刚|重新|停)"""
)
LEANS = _words(
    r"""^(?:and|or|but|so|then|also|what\s+about|how\s+about|what\s+if|how\s+so|really|which\s+(?:one|is|are|was))\b
    | ^why(?:\s+not)?\W*$ | \b(?:it|its|they|them|their|that|those|these|this|he|him|his|she|her|one)\b
    | \bthe\s+(?:same|other|former|latter|second|first)\b
    | ^(?:那|还有|另外|然后|而|所以) | ^为什么呢?\W*$ | [它他她]们?|这个|那个|这些|那些|该(?:公司|产品|项目)
    | 上面|前者|后者|同样|呢\W*$"""
)
