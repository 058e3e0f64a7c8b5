"""Pure: words that carry a question but not its subject; they are left out of queries, never out of the index."""

import re

_ENGLISH = """
    a about after again all also am an and any are aren as at be because been before being between
    both but by can cannot could couldn did didn do does doesn doing don during each few for from
    further had hadn has hasn have haven having he her here hers him his how i if in into is isn it
    its just me more most much my no nor not of off on once only or other our out over own please
    same shall she should shouldn so some such tell than that the their them then there these they
    this those through to too under until up very was wasn we were weren what when where which while
    who whom whose why will with won would wouldn you your explain happen happens happening
"""
ENGLISH = frozenset(_ENGLISH.split())

# Only words that hardly ever stand inside another word, with the exceptions beside them.
CHINESE = re.compile(
    "为什么|什么时候|什么|怎么样|怎么办|怎么|怎样|如何|哪些|哪个|哪里|多少|请问|是否|有没有|是不是|能不能|可不可以|"
    "我们|你们|他们|它们|这个|那个|这些|那些|以及|或者|还是|因为|所以|如果|的话|(?<!目)的(?![确士])|了(?!解)|吗|呢|(?<![网酒])吧(?!台)|啊|嘛"
)
