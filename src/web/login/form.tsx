/**
 * Logging in and registering, in one form. Whoever registers is logged in with it. The code of a second
 * factor is asked for once the password was right.
 *
 * What is wrong with a new name or password is said beside its field before anything is sent, by the
 * server's own rules; what the server refuses is said above the button, and keeps what was typed.
 */
import { signal } from "@preact/signals";
import { complaintOfPassword, complaintOfUsername } from "../../access/rules.ts";
import { send } from "../api.ts";
import { isDemo } from "../demo.tsx";
import { Problem, sentenceOf } from "../problems.ts";
import { loggedIn, sessionDropped } from "../session.ts";
import { clockText, secondsUntil, serverNow } from "../time.tsx";
import { Button, Field } from "../ui.tsx";
import { CodeField } from "./code.tsx";

type Way = "log in" | "register";

const way = signal<Way>("log in");
const username = signal("");
const password = signal("");
/** The account has a second factor: its code is asked for. */
const asksCode = signal(false);
const otp = signal("");
const wrong = signal<{
  readonly name?: string;
  readonly password?: string;
  readonly otp?: string;
  readonly all?: string;
}>({});
const busy = signal(false);
/** After too many tries: when the next one may be made, by the server's clock. */
const waitsUntil = signal(0);

function choose(chosen: Way): void {
  way.value = chosen;
  wrong.value = {};
  asksCode.value = false;
}

/** What is wrong before asking; null when nothing is. */
function complaints(): typeof wrong.value | null {
  const [name, secret] = [username.value.trim(), password.value];
  const isNew = way.value === "register";
  const ofName = name === "" ? "is missing" : isNew ? complaintOfUsername(name) : null;
  const ofPassword = secret === "" ? "is missing" : isNew ? complaintOfPassword(secret) : null;
  const isCodeMissing = asksCode.value && otp.value.trim() === "";
  if (ofName === null && ofPassword === null && !isCodeMissing) return null;
  return {
    ...(isCodeMissing && { otp: "The code is missing." }),
    ...(ofName !== null && { name: `The user name ${ofName}.` }),
    ...(ofPassword !== null && { password: `The password ${ofPassword}.` }),
  };
}

async function enter(): Promise<boolean> {
  const found = complaints();
  wrong.value = found ?? {};
  if (found !== null || busy.value || secondsUntil(waitsUntil.value) > 0) return false;
  busy.value = true;
  try {
    const body = { username: username.value.trim(), password: password.value };
    await sessionDropped();
    if (way.value === "register") await send("POST", "/api/auth/register", { body });
    const given = asksCode.value ? { ...body, otp: otp.value } : body;
    loggedIn(await send("POST", "/api/auth/login", { body: given }));
    password.value = "";
    otp.value = "";
    asksCode.value = false;
    return true;
  } catch (error) {
    if (error instanceof Problem && error.status === 429 && error.retryAfterMs !== null) {
      waitsUntil.value = serverNow() + error.retryAfterMs;
      return false;
    }
    const code = error instanceof Problem ? error.code : "";
    if (code === "second_factor_required") asksCode.value = true;
    else if (code === "user_exists") wrong.value = { name: sentenceOf(error) };
    else if (code === "invalid_second_factor") wrong.value = { otp: sentenceOf(error) };
    else wrong.value = { all: sentenceOf(error) };
    return false;
  } finally {
    busy.value = false;
  }
}

const ways = [
  { of: "log in", words: "Log in" },
  { of: "register", words: "New here" },
] as const;

/** `then` is called once somebody is logged in. */
export function LoginForm({ then }: { readonly then?: () => void }) {
  const isNew = way.value === "register";
  const wait = secondsUntil(waitsUntil.value);
  return (
    <>
      <div class="enter-ways" role="group" aria-label="Log in or register">
        {ways.map(({ of, words }) => (
          <button
            key={of}
            type="button"
            aria-pressed={way.value === of ? "true" : "false"}
            onClick={() => choose(of)}
          >
            {words}
          </button>
        ))}
      </div>
      <form
        class="enter-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void enter().then((entered) => entered && then?.());
        }}
      >
        <Field
          label="User name"
          value={username}
          error={wrong.value.name}
          autocomplete="username"
          spellcheck={false}
          maxLength={64}
          required
        />
        <Field
          label="Password"
          type="password"
          value={password}
          hint={isNew ? "Eight characters or more." : "The one you registered with."}
          error={wrong.value.password}
          autocomplete={isNew ? "new-password" : "current-password"}
          maxLength={256}
          required
        />
        {asksCode.value && <CodeField value={otp} error={wrong.value.otp} takesFocus />}
        <p class="enter-wrong" role="alert">
          {wait > 0
            ? "Too many tries. Nobody can log in by this name or from here for a while."
            : wrong.value.all}
        </p>
        {wait > 0 && (
          <p class="enter-wait num">
            Try again in <strong role="timer">{clockText(wait)}</strong>.
          </p>
        )}
        <Button type="submit" busy={busy.value} off={wait > 0}>
          {isNew ? "Register and log in" : "Log in"}
        </Button>
        {isDemo.value === true && (
          <p class="small-text soft">A demo: anybody knows its passwords.</p>
        )}
      </form>
    </>
  );
}

/** The page of this site that an address asks to go back to; "/account" for anything else. */
export function backFrom(search: string): string {
  const asked = new URLSearchParams(search).get("back") ?? "";
  const base = "http://here.invalid";
  if (!asked.startsWith("/") || !URL.canParse(asked, base)) return "/account";
  const { origin, pathname, search: query, hash } = new URL(asked, base);
  // A path may begin with two slashes once its dots are taken out; a browser reads a host there.
  const isHere = origin === base && !pathname.startsWith("//");
  return isHere && pathname !== "/login" ? pathname + query + hash : "/account";
}

/** Where to log in and come back to the page that asks. */
export const loginAddress = (): string =>
  `/login?back=${encodeURIComponent(location.pathname + location.search + location.hash)}`;
