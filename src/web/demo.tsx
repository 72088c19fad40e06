/**
 * Says on a page that this is a demo, whose accounts have passwords that anybody knows.
 *
 * The strip lies on the window's lower edge, outside of the page's flow, so that it moves nothing when
 * the answer comes. What was answered last is remembered, so that it stands there at once on the next page.
 */
import { signal } from "@preact/signals";
import { render } from "preact";
import { get, storage } from "./api.ts";
import { setServerTime } from "./time.tsx";

type Meta = { readonly demo: boolean; readonly server_time: string };

/** Null until the server has said. */
export const isDemo = signal<boolean | null>(storage.get("demo") === null ? null : true);

const place = "demo";

/** Asks once a page, and takes the server's time from the answer. */
export function tellOfDemo(): void {
  if (document.getElementById(place) !== null) return;
  const strip = document.createElement("div");
  strip.id = place;
  Object.assign(strip.style, { position: "sticky", bottom: "0", zIndex: "4" });
  document.body.append(strip);
  render(<Strip />, strip);
  // Without an answer the page itself says that there is no connection.
  ask().catch(() => undefined);
}

async function ask(): Promise<void> {
  const sentAt = Date.now();
  const { demo, server_time } = await get<Meta>("/api/meta");
  setServerTime(server_time, sentAt, Date.now());
  isDemo.value = demo;
  storage.set("demo", demo ? "1" : null);
}

const Strip = () =>
  isDemo.value === true ? (
    <aside
      aria-label="Demo"
      style={{
        padding: "6px 16px",
        background: "var(--sun)",
        color: "#1c1530",
        fontSize: "var(--text-small)",
        fontWeight: "650",
        textAlign: "center",
      }}
    >
      A demo: anybody knows its passwords.
    </aside>
  ) : null;
