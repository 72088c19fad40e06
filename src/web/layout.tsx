/**
 * Brings a page to life: renders it over its first paint, and with it what every page has: who is
 * logged in, the theme, the state of the line, notices, and the bar of what the visitor holds.
 */
import { effect } from "@preact/signals";
import { type ComponentChild, render } from "preact";
import { connection } from "./api.ts";
import { line } from "./live.ts";
import { notice, Notices } from "./notice.tsx";
import { sentenceOf } from "./problems.ts";
import { tellOfDemo } from "./demo.tsx";
import { mountBar } from "./holding/bar.tsx";
import { isAdmin, loadKnownUser, logOut, theme, toggleTheme, user } from "./session.ts";

/** Logs in and comes back to this page. */
const loginAddress =
  location.pathname === "/login"
    ? location.href
    : `/login?back=${encodeURIComponent(location.pathname + location.search)}`;

const lineWords = { idle: "", connecting: "Connecting", live: "Live", lost: "Connection lost" };

function Session() {
  const state = connection.value === "lost" ? "lost" : line.value;
  const known = user.value;
  const other = theme.value === "dark" ? "light" : "dark";
  return (
    <>
      <span class="line" data-line={state} role="status">
        <span>{lineWords[state]}</span>
      </span>
      <button
        class="icon"
        type="button"
        aria-label={`Use the ${other} theme`}
        title={`Use the ${other} theme`}
        data-theme-now={theme.value}
        onClick={toggleTheme}
      />
      {known ? (
        <>
          <a class="who" href="/account" title={`Logged in as ${known.username}`}>
            <span class="sr">Logged in as </span>
            {known.username}
          </a>
          <button
            class="button quiet small"
            type="button"
            aria-label={`Log out ${known.username}`}
            onClick={() => {
              logOut().catch((error: unknown) => notice(sentenceOf(error), "bad"));
            }}
          >
            Log out
          </button>
        </>
      ) : (
        <a class="button quiet small" href={loginAddress}>
          Log in
        </a>
      )}
    </>
  );
}

const place = (id: string): HTMLElement => {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
};

export function mount(page: ComponentChild): void {
  render(page, place("app"));
  mountFrame();
}

/** What every page has, around one that stays as it was sent. */
export function mountFrame(): void {
  const session = place("session");
  // The link that stood there for the first paint.
  session.replaceChildren();
  render(<Session />, session);
  render(<Notices />, place("notices"));
  mountBar();
  effect(() => {
    for (const item of document.querySelectorAll<HTMLElement>(".nav-admin"))
      item.hidden = !isAdmin.value;
    // On a phone the links are wider than the screen.
    document
      .querySelector(".nav [aria-current]")
      ?.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
  });
  // A page that is for accounts alone has called loadUser() itself.
  loadKnownUser();
  tellOfDemo();
}
