/** Changing one's password: a form that stays folded until somebody wants it. */
import { signal } from "@preact/signals";
import { complaintOfPassword } from "../../access/rules.ts";
import { send } from "../api.ts";
import { notice } from "../notice.tsx";
import { Problem, sentenceOf } from "../problems.ts";
import { Button, Field } from "../ui.tsx";
import { Form, Password, Wrong } from "./form.tsx";

const current = signal("");
const wanted = signal("");
const wrong = signal<{
  readonly current?: string;
  readonly wanted?: string;
  readonly all?: string;
}>({});
const busy = signal(false);
const open = signal(false);

/** What is wrong before asking; null when nothing is. */
function complaints(): typeof wrong.value | null {
  const ofWanted = wanted.value === "" ? "is missing" : complaintOfPassword(wanted.value);
  if (current.value !== "" && ofWanted === null) return null;
  return {
    ...(current.value === "" && { current: "The current password is missing." }),
    ...(ofWanted !== null && { wanted: `The new password ${ofWanted}.` }),
  };
}

async function change(): Promise<void> {
  const found = complaints();
  wrong.value = found ?? {};
  if (found !== null || busy.value) return;
  busy.value = true;
  try {
    const body = { current_password: current.value, new_password: wanted.value };
    await send("POST", "/api/auth/password", { body });
    current.value = "";
    wanted.value = "";
    open.value = false;
    notice("Your password is changed. You are logged out everywhere else.", "good");
  } catch (error) {
    const isOther = error instanceof Problem && error.code === "invalid_credentials";
    wrong.value = isOther
      ? { current: "This is not your current password." }
      : { all: sentenceOf(error) };
  } finally {
    busy.value = false;
  }
}

export const PasswordForm = ({ username }: { readonly username: string }) => (
  <details
    class="card account-enter"
    open={open.value}
    onToggle={(event) => (open.value = event.currentTarget.open)}
  >
    <summary>Change password</summary>
    <Form does={change}>
      <Password
        username={username}
        label="Current password"
        value={current}
        error={wrong.value.current}
      />
      <Field
        label="New password"
        type="password"
        value={wanted}
        hint="Eight characters or more."
        error={wrong.value.wanted}
        autocomplete="new-password"
        maxLength={256}
        required
      />
      <Wrong text={wrong.value.all} />
      <Button type="submit" busy={busy.value}>
        Change the password
      </Button>
    </Form>
  </details>
);
