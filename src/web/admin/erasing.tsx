/**
 * Erasing a name, of whatever kind of buyer: what will happen and what will not is said before, and the
 * name has to be typed. The pseudonym is shown once, and then the page is theirs: that of the name is
 * left, in what one goes back to as well.
 */
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { send } from "../api.ts";
import { Copied } from "../copy.tsx";
import { Dialog } from "../notice.tsx";
import { Problem, sentenceOf } from "../problems.ts";
import { user } from "../session.ts";
import { Button, Field } from "../ui.tsx";
import { FormSheet, Wrong } from "./forms.tsx";
import { type BuyerKind, customerAddress } from "./orderhead.tsx";

type Erased = { readonly pseudonym: string; readonly accounts: number };

/** All of the journal is looked through. */
const eraseWaitMs = 240_000;

/** As a shell takes it. */
const quoted = (name: string): string => `'${name.replaceAll("'", "'\\''")}'`;

/** Their own name another administrator can erase; the server refuses it as well. */
const isOwn = (name: string): boolean => name.toLowerCase() === user.value?.username.toLowerCase();

/** Why it was not done, or whether it may have been. */
function whyOf(error: unknown): string {
  if (!(error instanceof Problem)) return sentenceOf(error);
  switch (error.code) {
    case "user_not_found":
      return "Nobody has this name any more. If it was erased just now, the activity says what they are called.";
    case "lost":
    case "outcome_unknown":
      return "Nobody can tell whether it was done. Try again: if it was, the answer says so.";
    case "overloaded":
      return error.message;
    default:
      return sentenceOf(error);
  }
}

async function erase(name: string, typed: string): Promise<Erased> {
  if (typed.trim() !== name) throw new Wrong("Type the name as it stands above.");
  try {
    const body = { user_id: name };
    return await send<Erased>("POST", "/api/admin/buyer/erase", { body, waitMs: eraseWaitMs });
  } catch (error) {
    throw new Wrong(whyOf(error));
  }
}

const Effects = ({ name }: { readonly name: string }) => (
  <>
    <div class="effect">
      <p>
        <strong>What will happen</strong>
      </p>
      <ul>
        <li>
          A pseudonym takes the place of <strong>{name}</strong> in every record, of guests, your
          site’s customers and an account alike.
        </li>
        <li>An account is logged out, and lets nobody in any more.</li>
        <li>Orders, codes and all figures stay. Selling pauses for a moment.</li>
      </ul>
    </div>
    <div class="effect">
      <p>
        <strong>What will not</strong>
      </p>
      <ul>
        <li>
          Backups made before, logs of proxies, and what exports and webhooks have told others keep
          the name.
        </li>
        <li>It cannot be undone, nor looked up later.</li>
      </ul>
    </div>
  </>
);

/** What was typed is not kept: it is the name. */
function EraseForm({
  name,
  done,
  close,
}: {
  readonly name: string;
  readonly done: (erased: Erased) => void;
  readonly close: () => void;
}) {
  const [typed] = useState(() => signal(""));
  const draft = { key: "erase", now: () => "", reset: () => (typed.value = "") };
  return (
    <FormSheet
      title="Erase this name?"
      yes="Erase it"
      look="danger"
      done="The name is erased."
      save={async () => done(await erase(name, typed.value))}
      close={close}
      draft={draft}
    >
      <Effects name={name} />
      <Field
        label="Type the name, to be sure"
        value={typed}
        autocomplete="off"
        spellcheck={false}
        required
      />
    </FormSheet>
  );
}

const Done = ({ of, close }: { readonly of: Erased; readonly close: () => void }) => (
  <Dialog title="The name is erased" keeps onClose={close}>
    <p>
      Whoever had it is called this from now on
      {of.accounts > 0 ? ", and their account lets nobody in" : ""}.{" "}
      <strong>It is shown beside the name for the last time</strong>: keep it if you will have to
      find their orders.
    </p>
    <Copied text={of.pseudonym} label="the pseudonym" />
    <div class="dialog-acts">
      <Button onClick={close}>Show what is left</Button>
    </div>
  </Dialog>
);

export function Erasing({ kind, name }: { readonly kind: BuyerKind; readonly name: string }) {
  const [{ isAsked, erased }] = useState(() => ({
    isAsked: signal(false),
    erased: signal<Erased | null>(null),
  }));
  const { value: now } = erased;
  return (
    <section class="stack" aria-labelledby="erase-title">
      <h3 id="erase-title">Erase this name</h3>
      <p class="soft">
        Where somebody asks for it, as the law lets them: a pseudonym takes the place of their name
        in every record. Figures stay. Without a browser:{" "}
        <code class="cell-break">stampede user erase {quoted(name)}</code>
      </p>
      {isOwn(name) ? (
        <p class="soft">This is you: another administrator can erase your name.</p>
      ) : (
        <p>
          <Button look="danger" onClick={() => (isAsked.value = true)}>
            Erase this name…
          </Button>
        </p>
      )}
      {isAsked.value && (
        <EraseForm
          name={name}
          done={(made) => (erased.value = made)}
          close={() => (isAsked.value = false)}
        />
      )}
      {now !== null && (
        <Done
          of={now}
          close={() => location.replace(customerAddress({ buyer: kind, user_id: now.pseudonym }))}
        />
      )}
    </section>
  );
}
