// Does what every caller needs, one step after the other, or only the steps that it is given:
//
//   npm run example                 # all but the last
//   npm run example -- answer cancel deadline error renew limit
//
// It reads GATEWAY_GRPC_TARGET (127.0.0.1:50051) and the token in GATEWAY_TOKEN_FILE (.gateway/dev-token).
import { randomUUID } from "node:crypto";
import { Metadata, status } from "@grpc/grpc-js";
import {
  AccountClient,
  connection,
  Finish,
  InferenceClient,
  isServiceError,
  problemOf,
  SearchMode,
  SearchOptions,
  tokenFile,
  Tokens,
  Turn,
  type ListModelsResponse,
  type ServerFrame,
  type Source,
  type TurnResult,
  type Limits,
} from "../src/index.js";

const QUESTION = "how does the gateway meter a broken stream?";
const target = process.env.GATEWAY_GRPC_TARGET ?? "127.0.0.1:50051";
const source = tokenFile(process.env.GATEWAY_TOKEN_FILE ?? ".gateway/dev-token");
const reached = connection(target, new Tokens(source));
const inference = new InferenceClient(...reached);
const account = new AccountClient(...reached);

/** A question with an id of its own, so that a repeat of the same call is never charged twice. */
function turn(prompt: string, more: Partial<Turn> = {}): Turn {
  return Turn.fromPartial({ turnId: randomUUID(), prompt, ...more });
}

/** The moment until which a call may take: no call without one. */
function within(milliseconds: number): { deadline: Date } {
  return { deadline: new Date(Date.now() + milliseconds) };
}

function complete(asked: Turn, milliseconds = 120_000): Promise<TurnResult> {
  return new Promise((resolve, reject) => {
    inference.complete(asked, new Metadata(), within(milliseconds), (error, result) => (error ? reject(error) : resolve(result)));
  });
}

/** Streams one answer with the sources that it rests on. */
async function answer(): Promise<void> {
  const search = SearchOptions.fromPartial({ mode: SearchMode.SEARCH_MODE_ALWAYS });
  const frames: AsyncIterable<ServerFrame> = inference.generate(turn(QUESTION, { search }), within(120_000));
  const sources: Source[] = [];
  process.stdout.write("answer: ");
  for await (const { frame } of frames) {
    switch (frame?.$case) {
      case "delta":
        process.stdout.write(frame.delta.text);
        break;
      case "search":
        sources.push(...frame.search.sources);
        break;
      case "end":
        console.log(`\nreceipt: ${frame.end.receiptId} ${Finish[frame.end.finish]}`);
    }
  }
  for (const { sourceId, title, url } of sources) console.log(`source: ${sourceId} ${title} ${url}`);
}

/** Leaves after the first words: the model stops, and only what had arrived is charged. */
async function cancel(): Promise<void> {
  const call = inference.generate(turn("count slowly"), within(120_000));
  const frames: AsyncIterable<ServerFrame> = call;
  try {
    for await (const { frame } of frames) if (frame?.$case === "delta" && frame.delta.text) call.cancel();
    console.log("cancel: the answer had ended before");
  } catch (error) {
    if (!isServiceError(error) || error.code !== status.CANCELLED) throw error;
    console.log("cancel: CANCELLED");
  }
}

/** Allows a call less time than any answer takes. */
async function deadline(): Promise<void> {
  try {
    await complete(turn("count slowly"), 1);
  } catch (error) {
    if (!isServiceError(error) || error.code !== status.DEADLINE_EXCEEDED) throw error;
    console.log("deadline: DEADLINE_EXCEEDED");
    return;
  }
  throw new Error("an answer within a millisecond");
}

/** Reads why a call was refused. */
async function problem(): Promise<void> {
  try {
    await complete(turn(QUESTION, { model: "no-such-model" }));
  } catch (error) {
    if (!isServiceError(error)) throw error;
    const why = problemOf(error);
    console.log(`error: ${why.code} ${why.reason} retryable=${why.facts.retryable}: ${why.message}`);
    return;
  }
  throw new Error("a model that does not exist has answered");
}

/** Starts with a token that has run out, as after a long pause, and goes on with a fresh one. */
async function renew(): Promise<void> {
  let renewals = 0;
  const tokens = new Tokens(() => {
    renewals += 1;
    return source();
  }, "a-token-that-has-run-out");
  const client = new InferenceClient(...connection(target, tokens));
  const { models } = await tokens.withRenewal(
    () =>
      new Promise<ListModelsResponse>((resolve, reject) => {
        client.listModels({}, new Metadata(), within(30_000), (error, listed) =>
          error ? reject(error) : resolve(listed),
        );
      }),
  );
  console.log(`renew: ${renewals} renewal, then ${models.length} models`);
  client.close();
}

/** Asks until the tenant's limit says no, and reads how long to wait. It uses the whole minute's allowance. */
async function limit(): Promise<void> {
  const limits = await new Promise<Limits>((resolve, reject) => {
    account.getLimits({}, new Metadata(), within(30_000), (error, found) => (error ? reject(error) : resolve(found)));
  });
  const allowance = limits.allowances.find(({ dimension }) => dimension === "requests_per_minute");
  for (let left = Number(allowance?.remaining ?? 0n) + 100; left > 0; left -= 1) {
    try {
      await complete(turn(QUESTION));
    } catch (error) {
      const why = isServiceError(error) ? problemOf(error) : undefined;
      if (why?.retryAfterMs === undefined) throw error;
      console.log(`limit: ${why.code} ${why.reason}, again in ${why.retryAfterMs} ms`);
      return;
    }
  }
  throw new Error("nothing was refused");
}

const steps: { [name: string]: () => Promise<void> } = { answer, cancel, deadline, error: problem, renew, limit };
const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : ["answer", "cancel", "deadline", "error", "renew"]) {
  const step = steps[name];
  if (step === undefined) throw new Error(`no step ${name}`);
  await step();
}
inference.close();
account.close();
