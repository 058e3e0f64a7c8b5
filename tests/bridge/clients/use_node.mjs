// The `openai` package for Node against a bridge: `node use_node.mjs URL KEY`; prints what it got as one JSON line.
import OpenAI from "openai";

const [url, key] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 });
const hello = [{ role: "user", content: "hello" }];
const weather = [{ role: "user", content: "the weather?" }];
const model = "deepseek-flash";
const tools = [
  {
    type: "function",
    function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
  },
];

const whole = await client.chat.completions.create({ model, messages: hello });
let text = "";
let tokens = null;
for await (const chunk of await client.chat.completions.create({ model, messages: hello, stream: true })) {
  text += chunk.choices[0].delta.content ?? "";
  tokens = chunk.usage?.total_tokens ?? tokens;
}
const asked = await client.chat.completions.stream({ model, messages: weather, tools }).finalChatCompletion();
const call = asked.choices[0].message.tool_calls[0];
const history = [
  ...weather,
  { role: "assistant", content: "", tool_calls: [call] },
  { role: "tool", tool_call_id: call.id, content: "24 C, sunny" },
];
const followUp = await client.chat.completions.create({ model, messages: history, tools });
let badKey = "accepted";
try {
  await new OpenAI({ baseURL: url, apiKey: "wrong", maxRetries: 0 }).models.list();
} catch (error) {
  badKey = error instanceof OpenAI.AuthenticationError ? "refused" : String(error);
}
const models = [];
for await (const item of client.models.list()) models.push(item.id);
let closed = 0;
const early = await client.chat.completions.create({ model, messages: hello, stream: true });
for await (const _ of early) {
  closed += 1;
  break;
}
console.log(
  JSON.stringify({
    blocking: whole.choices[0].message.content,
    stream: text,
    tokens,
    tool: [call.function.name, JSON.parse(call.function.arguments)],
    follow_up: followUp.choices[0].message.content,
    bad_key: badKey,
    models,
    closed,
  }),
);
