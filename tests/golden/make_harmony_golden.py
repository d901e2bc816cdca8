#!/usr/bin/env python3
"""Golden conversations of harmony, by OpenAI's own program.

    pip install openai-harmony==0.0.8
    TIKTOKEN_ENCODINGS_BASE=<folder with o200k_base.tiktoken> make_harmony_golden.py > data/chat/harmony.json
"""
import json
import random
import sys

from openai_harmony import (Author, Conversation, DeveloperContent, HarmonyEncodingName, Message,
                            ReasoningEffort, RenderConversationConfig, Role, SystemContent,
                            ToolDescription, load_harmony_encoding)

encoding = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)
EFFORTS = {"low": ReasoningEffort.LOW, "medium": ReasoningEffort.MEDIUM, "high": ReasoningEffort.HIGH}


def message(m):
    role = Role(m["role"])
    if role == Role.TOOL:
        out = Message.from_author_and_content(Author.new(Role.TOOL, m["name"]), m["content"])
    else:
        out = Message.from_role_and_content(role, m["content"])
    if "channel" in m:
        out = out.with_channel(m["channel"])
    if "recipient" in m:
        out = out.with_recipient(m["recipient"])
    if "content_type" in m:
        out = out.with_content_type(m["content_type"])
    return out


def case(messages, options=None, tools=(), builtin=(), prompt=True):
    options = options or {}
    system = SystemContent.new().with_reasoning_effort(EFFORTS[options.get("reasoning", "medium")])
    if "identity" in options:
        system = system.with_model_identity(options["identity"])
    if "cutoff" in options:
        system = system.with_knowledge_cutoff(options["cutoff"])
    if "date" in options:
        system = system.with_conversation_start_date(options["date"])
    if "channels" in options:
        system = system.with_required_channels(options["channels"])
    if "browser" in builtin:
        system = system.with_browser_tool()
    if "python" in builtin:
        system = system.with_python_tool()
    rest = list(messages)
    developer = None
    if rest and rest[0]["role"] == "developer":
        developer = DeveloperContent.new().with_instructions(rest.pop(0)["content"])
    if tools:
        developer = (developer or DeveloperContent.new()).with_function_tools(
            [ToolDescription.new(t["name"], t["description"], t.get("parameters")) for t in tools])
    all_messages = [Message.from_role_and_content(Role.SYSTEM, system)]
    if developer:
        all_messages.append(Message.from_role_and_content(Role.DEVELOPER, developer))
    all_messages += [message(m) for m in rest]
    conversation = Conversation.from_messages(all_messages)
    config = RenderConversationConfig(auto_drop_analysis=not options.get("keep_analysis", False))
    if prompt:
        ids = encoding.render_conversation_for_completion(conversation, Role.ASSISTANT, config)
    else:
        ids = encoding.render_conversation(conversation, config)
    row = {"messages": messages, "text": encoding.decode_utf8(ids)}
    if options:
        row["options"] = options
    if tools:
        row["tools"] = list(tools)
    if builtin:
        row["builtin"] = list(builtin)
    if not prompt:
        row["prompt"] = False
    return row


def user(text):
    return {"role": "user", "content": text}


def said(text, channel):
    return {"role": "assistant", "content": text, "channel": channel}


CALL = {"role": "assistant", "content": '{"a": 1}', "channel": "commentary",
        "recipient": "functions.f", "content_type": "<|constrain|>json"}
ANSWER = {"role": "tool", "content": "r", "name": "functions.f", "channel": "commentary",
          "recipient": "assistant"}
PYTHON = {"role": "assistant", "content": "1+1", "channel": "analysis", "recipient": "python",
          "content_type": "code"}


def conversations():
    t1, a1, t2, a2 = said("t1", "analysis"), said("a1", "final"), said("t2", "analysis"), said("a2", "final")
    preamble = said("I will look.", "commentary")
    turns = [[], [user("1")], [user("1"), t1, a1], [user("1"), t1, a1, user("2")],
             [user("1"), t1, a1, user("2"), t2, CALL, ANSWER],
             [user("1"), t1, a1, user("2"), t2, CALL, ANSWER, t2, a2, user("3")],
             [user("1"), t1, CALL, ANSWER], [user("1"), t1, preamble, CALL, ANSWER, t1],
             [user("1"), t1, PYTHON, {**ANSWER, "name": "python", "channel": "analysis"}],
             [user("1"), t1, CALL], [user("1"), a1, user("2"), a2], [user("1"), t1]]
    for messages in turns:
        for prompt in (True, False):
            yield case(messages, prompt=prompt)
            yield case([{"role": "developer", "content": "Be\nbrief."}] + messages, prompt=prompt)
    for options in ({"reasoning": "low"}, {"reasoning": "high", "date": "2025-06-28"},
                    {"identity": "You are a robot.", "cutoff": "2023-01"}):
        yield case([user("Grüße 你好 🙂")], options)
    for options in ({"channels": ["analysis", "final"]},
                    {"channels": ["analysis", "final"], "reasoning": "high"},
                    {"channels": ["analysis", "final"], "date": "2021-01-01", "cutoff": "2021-01"}):
        yield case([user("What is 42 * pi?")], options)
    for messages in turns[2:6]:  # reasoning kept on purpose
        yield case(messages, {"keep_analysis": True})
    yield case([], {"date": "2025-06-28"})
    # A turn after answers without reasoning; its call is under way.
    yield case([{"role": "developer", "content": "Look at code."}, user("1"), a1, user("2"), a2, user("3"), t1,
                {k: v for k, v in CALL.items() if k != "content_type"}])
    for builtin in (["browser"], ["python"], ["browser", "python"]):
        yield case([], {"date": "2025-06-28"}, builtin=builtin)
        yield case([user("q")], builtin=builtin)
        yield case([user("q")], builtin=builtin, tools=[{"name": "g", "description": "No args"}])


WORDS = ["city", "a name", "multi\nline", "quoted \"x\"", "Größe", ""]


def schema(r, depth=0):
    kinds = ["string", "number", "integer", "boolean", "array", "object", "list", "oneOf", "none", "enum"]
    kind = r.choice(kinds if depth < 3 else kinds[:4])
    out = {}
    if kind == "enum":
        out = {"type": "string", "enum": r.sample(["x", "y y", "z"], r.randint(1, 3))}
    elif kind == "list":
        out = {"type": r.sample(["string", "number", "integer", "null", "boolean"], r.randint(1, 3))}
    elif kind == "oneOf":
        out = {"oneOf": [schema(r, depth + 1) for _ in range(r.randint(1, 3))]}
    elif kind == "array":
        out = {"type": "array"}
        if r.random() < 0.8:
            out["items"] = schema(r, depth + 1)
    elif kind == "object":
        out = parameters(r, depth + 1)
    elif kind != "none":
        out = {"type": kind}
    if r.random() < 0.4:
        out["description"] = r.choice(WORDS[:2] + WORDS[3:5])
    if r.random() < 0.2:
        out["title"] = r.choice(WORDS[:2])
    if r.random() < 0.2:
        out["nullable"] = r.random() < 0.7
    if r.random() < 0.2:
        out["examples"] = r.sample(["e1", "e2", 3], r.randint(1, 3))
    if r.random() < 0.3:
        out["default"] = r.choice(["x", 3, 1.5, True, None, [1, "a"], {"k": 1}])
    return out


def parameters(r, depth=0):
    names = r.sample(["b", "a", "zeta", "city", "unit", "n"], r.randint(0, 4))
    out = {"type": "object", "properties": {n: schema(r, depth) for n in names}}
    if r.random() < 0.6:
        out["required"] = r.sample(names, r.randint(0, len(names)))
    if r.random() < 0.2:
        out["additionalProperties"] = False
    return out


def schemas():
    r = random.Random(8)
    for _ in range(60):
        tools = []
        for i in range(r.randint(1, 3)):
            tool = {"name": f"f{i}", "description": r.choice(WORDS)}
            if r.random() < 0.9:
                tool["parameters"] = parameters(r)
            tools.append(tool)
        yield case([user("q")], tools=tools)


def replies():
    texts = ["<|channel|>analysis<|message|>t<|end|><|start|>assistant<|channel|>final<|message|>a<|return|>",
             "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>",
             " to=functions.f<|channel|>commentary <|constrain|>json<|message|>{}<|call|>",
             " to=python<|channel|>analysis code<|message|>1+1<|call|>",
             "<|channel|>final<|message|>é 🙂<|return|>", "<|message|>no channel<|return|>",
             # No space before the constraint, on either side of the channel.
             " to=functions.f<|channel|>commentary<|constrain|>json<|message|>{}<|call|>",
             "<|channel|>commentary to=functions.f<|constrain|>json<|message|>{}<|call|>",
             " to=lookup<|channel|>analysis code<|message|>{}<|call|>",
             " to=functions.f<|channel|>commentary json<|message|>{}<|call|>",
             "<|channel|>analysis<|message|>Müller, नमस्ते, 你好 👋🏾👨‍👩‍👧 naïve<|end|><|start|>assistant<|channel|>final<|message|>"
             "🇺🇸<|return|>",
             "<|channel|>analysis<|message|>t<|end|><|start|>assistant<|channel|>commentary<|message|>c<|end|>"
             "<|start|>assistant<|channel|>final<|message|>a<|return|>",
             "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant to=functions.f"
             "<|channel|>commentary<|message|>{}<|call|>"]
    for text in texts:
        ids = encoding.encode(text, allowed_special="all")
        parsed = encoding.parse_messages_from_completion_tokens(ids, Role.ASSISTANT)
        yield {"reply": text, "messages": [{
            "channel": m.channel or "", "recipient": m.recipient or "",
            "content_type": m.content_type or "", "content": "".join(c.text for c in m.content)}
            for m in parsed]}


json.dump({"witness": "openai-harmony 0.0.8",
           "conversations": list(conversations()) + list(schemas()), "replies": list(replies())},
          sys.stdout, ensure_ascii=False, indent=0)
