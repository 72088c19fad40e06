/**
 * Says on a page that this is a demo, whose accounts have passwords that anybody knows: a word beside
 * the brand, where it covers nothing and moves nothing, and a sentence at the page's end and where
 * somebody logs in. What was answered last is remembered, so that it stands there at once.
 */
import { effect, signal } from "@preact/signals";
import { get, storage } from "./api.ts";
import { onDoubt, setServerTime, steadyNow } from "./time.tsx";

type Meta = { readonly demo: boolean; readonly server_time: string };

/** Null until the server has said. */
export const isDemo = signal<boolean | null>(storage.get("demo") === null ? null : true);

/** Asks once a page, and takes the server's time from the answer; and the time again where it is in doubt. */
export function tellOfDemo(): void {
  effect(() => {
    const shown = isDemo.value === true;
    for (const one of document.querySelectorAll<HTMLElement>(".demo")) one.hidden = !shown;
  });
  onDoubt(ask);
  ask();
}

function ask(): void {
  // Without an answer the page itself says that there is no connection.
  readMeta().catch(() => undefined);
}

async function readMeta(): Promise<void> {
  const sentAt = steadyNow();
  const { demo, server_time } = await get<Meta>("/api/meta");
  setServerTime(server_time, sentAt, steadyNow());
  isDemo.value = demo;
  storage.set("demo", demo ? "1" : null);
}
