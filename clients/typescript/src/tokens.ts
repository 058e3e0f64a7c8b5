import { readFile } from "node:fs/promises";
import { status, type ServiceError } from "@grpc/grpc-js";

/** Gives a bearer token; it is asked again when the gateway refused the last one. */
export type TokenSource = () => Promise<string>;

/** Reads the token from a file, as an agent or a mounted secret renews it. */
export function tokenFile(path: string): TokenSource {
  return async () => (await readFile(path, "utf8")).trim();
}

/** The token that calls carry now, and the source of the next one. */
export class Tokens {
  /** Starts with a token, or with none: then the first call asks the source. */
  constructor(
    private readonly source: TokenSource,
    private current = "",
  ) {}

  /** The token for a call that starts now. */
  async bearer(): Promise<string> {
    if (this.current === "") await this.renew();
    return this.current;
  }

  /** Replaces the token by a fresh one from the source. */
  async renew(): Promise<void> {
    this.current = await this.source();
  }

  /**
   * Makes the call, and makes it once more with a fresh token if the gateway refused the first one.
   *
   * A refused call was never let in, so nothing of it was delivered or charged.
   */
  async withRenewal<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if ((error as Partial<ServiceError>).code !== status.UNAUTHENTICATED) throw error;
      await this.renew();
      return call();
    }
  }
}
