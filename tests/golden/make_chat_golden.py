#!/usr/bin/env python3
"""Conversations rendered by the templates in data/chat/templates, as transformers does.

    pip install transformers==5.23 jinja2
    make_chat_golden.py > data/chat/templates.json
"""
import json
import pathlib
import sys

from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).parent / "data" / "chat" / "templates"
# <eos> and <bos>: the small tokenizer of the test has control tokens of these names.
TOKENS = {"bos_token": "<bos>", "eos_token": "<eos>"}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


SYSTEM = {"role": "system", "content": "Be brief.\n"}
TOOLS = [{"type": "function", "function": {
    "name": "weather", "description": "Of a city: \"Köln\" <&>", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1.5}},
        "required": ["city"]}}},
    {"type": "function", "function": {"name": "now", "description": "Time"}}]
NO_SYSTEM = ("mistral-plain", "mistral-7b-v0.1")  # their templates refuse it
CHATS = [
    [user("Hi")], [SYSTEM, user("Hi")], [user("  a\n"), assistant("\nb "), user("c")],
    [SYSTEM, user("a"), assistant("b")], [user("a"), assistant(""), user("Grüße 你好 🙂\t")],
    [SYSTEM, user("a"), assistant("b"), user("c"), assistant("d"), user("e")],
]
THOUGHTS = [
    [user("a"), assistant("b", reasoning_content="why")],
    [user("a"), assistant("b", reasoning_content="\n\nwhy\n"), user("c")],
    [user("a"), assistant("<think>\nwhy\n</think>\n\nb"), user("c"), assistant("<think>x</think>d")],
    [user("a"), assistant("b"), user("c"), assistant("d")],
]
CALLS = [
    [user("a"), assistant("", tool_calls=[call("weather", {"city": "Köln", "days": 2})])],
    [user("a"), assistant("I look.", tool_calls=[call("weather", {"city": "A"}), call("now", {})]),
     {"role": "tool", "content": "sun"}, {"role": "tool", "content": "noon"}],
    [SYSTEM, user("a"), assistant("", tool_calls=[call("now", {})]), {"role": "tool", "content": "noon"},
     assistant("It is noon."), user("thanks")],
]


def rows():
    for path in sorted(HERE.glob("*.jinja")):
        template = path.read_text()
        name = path.stem
        chats = [(c, None) for c in CHATS if name not in NO_SYSTEM or c[0] is not SYSTEM]
        if name == "qwen2":  # smollm's with another text
            chats = chats[:3]
        if name == "qwen2.5":
            chats = chats[:4] + [(CALLS[1], None), (CALLS[2], None), (CHATS[0], TOOLS[1:]), (CHATS[1], TOOLS[1:])]
        if name == "qwen3":
            chats += [(c, None) for c in THOUGHTS + CALLS]
        if name in ("qwen3", "olmo3"):
            chats += [(c, TOOLS) for c in CHATS[:2] + CALLS] + [(CHATS[0], TOOLS[:1])]
        if name == "olmo3":
            chats += [(c, None) for c in CALLS]
        for chat, tools in chats:
            for prompt in (True,) if name.startswith(("mistral", "qwen2.5")) else (True, False):
                for thinking in ((None, True, False) if name == "qwen3" and prompt else (None,)):
                    extra = {} if thinking is None else {"enable_thinking": thinking}
                    text = render_jinja_template([chat], tools=tools, chat_template=template,
                                                 add_generation_prompt=prompt, **TOKENS, **extra)[0][0]
                    row = {"template": name, "messages": chat, "prompt": prompt, "text": text}
                    if tools is not None:
                        row["tools"] = tools
                    if thinking is not None:
                        row["thinking"] = thinking
                    yield row


json.dump(list(rows()), sys.stdout, ensure_ascii=False, indent=0)
