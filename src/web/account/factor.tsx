/**
 * The second factor of one's account, folded until somebody wants it: set up by a picture for an
 * authenticator app and a first code; then its recovery codes, and switching it off.
 */
import { batch, signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { get, send } from "../api.ts";
import { Copied } from "../copy.tsx";
import { CodeField } from "../login/code.tsx";
import { notice } from "../notice.tsx";
import { Problem, sentenceOf } from "../problems.ts";
import { Qr } from "../qr.tsx";
import { loggedIn, user } from "../session.ts";
import { Badge, Button } from "../ui.tsx";
import { Form, Password, Wrong } from "./form.tsx";

type Begun = { readonly secret: string; readonly uri: string };
type Codes = { readonly recovery_codes: readonly string[] };
type State = { readonly on: boolean; readonly recovery_codes_left: number };

const factorPlace = "second-factor";

const password = signal("");
const otp = signal("");
const begun = signal<Begun | null>(null);
/** Shown this once. */
const codes = signal<readonly string[] | null>(null);
const left = signal<number | null>(null);
const busy = signal(false);
const wrong = signal<{
  readonly password?: string;
  readonly otp?: string;
  readonly all?: string;
}>({});

/** What is refused is said where it can be mended. */
function wrongBy(error: unknown): typeof wrong.value {
  const code = error instanceof Problem ? error.code : "";
  if (code === "invalid_credentials") return { password: "This is not your password." };
  if (code === "invalid_second_factor") return { otp: sentenceOf(error) };
  return { all: sentenceOf(error) };
}

async function doing(missing: typeof wrong.value, work: () => Promise<void>): Promise<void> {
  wrong.value = missing;
  if (Object.keys(missing).length > 0 || busy.value) return;
  busy.value = true;
  try {
    await work();
  } catch (error) {
    wrong.value = wrongBy(error);
  } finally {
    busy.value = false;
  }
}

const missing = (asks: { readonly word?: true; readonly code?: true }): typeof wrong.value => ({
  ...(asks.word === true && password.value === "" && { password: "The password is missing." }),
  ...(asks.code === true && otp.value.trim() === "" && { otp: "The code is missing." }),
});

const clear = (): void =>
  batch(() => {
    password.value = "";
    otp.value = "";
    begun.value = null;
  });

/** What the server now says of the account. */
async function known(): Promise<void> {
  loggedIn(await get("/api/auth/me"));
}

async function askState(): Promise<void> {
  try {
    const { on, recovery_codes_left: count } = await get<State>("/api/auth/second-factor");
    left.value = on ? count : null;
  } catch {
    left.value = null;
  }
}

const begin = () =>
  doing(missing({ word: true }), async () => {
    const body = { password: password.value };
    begun.value = await send<Begun>("POST", "/api/auth/second-factor", { body });
    password.value = "";
  });

const confirmCode = () =>
  doing(missing({ code: true }), async () => {
    const body = { otp: otp.value };
    const answer = await send<Codes>("POST", "/api/auth/second-factor/confirm", { body });
    codes.value = answer.recovery_codes;
    clear();
    await known();
  });

const renew = () =>
  doing(missing({ word: true, code: true }), async () => {
    const body = { password: password.value, otp: otp.value };
    const answer = await send<Codes>("POST", "/api/auth/second-factor/recovery-codes", { body });
    codes.value = answer.recovery_codes;
    clear();
  });

const switchOff = () =>
  doing(missing({ word: true, code: true }), async () => {
    const body = { password: password.value, otp: otp.value };
    await send("POST", "/api/auth/second-factor/disable", { body });
    clear();
    notice("The second factor is off.", "good");
    await known();
  });

const Begin = ({ username }: { readonly username: string }) => (
  <Form does={begin}>
    <p>
      A password can be seen, guessed or told. With a second factor, logging in takes a code of an
      authenticator app on your phone too.
    </p>
    <Password
      username={username}
      label="Your password"
      value={password}
      error={wrong.value.password}
    />
    <Wrong text={wrong.value.all} />
    <Button type="submit" busy={busy.value}>
      Set it up
    </Button>
  </Form>
);

const Confirm = ({ of }: { readonly of: Begun }) => (
  <Form does={confirmCode}>
    <p>Scan this with your authenticator app, or type the secret into it.</p>
    <Qr text={of.uri} label="QR code of the secret, for an authenticator app" />
    <Copied text={of.secret} label="the secret" />
    <CodeField value={otp} error={wrong.value.otp} onlyApp />
    <Wrong text={wrong.value.all} />
    <Button type="submit" busy={busy.value}>
      Switch it on
    </Button>
    <Button look="quiet" onClick={clear}>
      Not now
    </Button>
  </Form>
);

const Kept = ({ of }: { readonly of: readonly string[] }) => (
  <div class="enter-form">
    <p>
      <strong>Keep these recovery codes</strong>, on paper or in a password manager, and not on the
      phone with the app. Each lets you in once when you do not have it. They are shown this once.
    </p>
    <Copied text={of.join("\n")} label="the recovery codes" />
    <Button
      onClick={() => {
        codes.value = null;
        void askState();
      }}
    >
      I have kept them
    </Button>
  </div>
);

const Manage = ({ username }: { readonly username: string }) => (
  <Form does={renew}>
    <p>
      Logging in takes a code of your app.
      {left.value !== null &&
        ` You have ${left.value} recovery ${left.value === 1 ? "code" : "codes"} left.`}
    </p>
    <Password
      username={username}
      label="Your password"
      value={password}
      error={wrong.value.password}
    />
    <CodeField value={otp} error={wrong.value.otp} />
    <Wrong text={wrong.value.all} />
    <Button type="submit" look="quiet" busy={busy.value}>
      Make new recovery codes
    </Button>
    <Button look="danger" busy={busy.value} onClick={() => void switchOff()}>
      Switch it off
    </Button>
  </Form>
);

export function SecondFactor({ username }: { readonly username: string }) {
  const isOn = user.value?.second_factor === true;
  const isDemanded = user.value?.second_factor_demanded === true;
  const [isOpen] = useState(() => signal(location.hash === `#${factorPlace}`));
  return (
    <details
      id={factorPlace}
      class="card account-enter"
      open={isOpen.value || isDemanded}
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
        if (isOpen.value && isOn) void askState();
      }}
    >
      <summary>Second factor {isOn ? <Badge tone="good">On</Badge> : <Badge>Off</Badge>}</summary>
      {isDemanded && (
        <p class="factor-demanded">
          Whoever runs this shop asks it of administrators: until it is on you can buy, and not
          administer.
        </p>
      )}
      {codes.value !== null ? (
        <Kept of={codes.value} />
      ) : isOn ? (
        <Manage username={username} />
      ) : begun.value === null ? (
        <Begin username={username} />
      ) : (
        <Confirm of={begun.value} />
      )}
    </details>
  );
}
