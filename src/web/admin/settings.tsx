/** The house's own: name, money, colour and logo, as every page of the shop shows them. */
import { signal, type Signal } from "@preact/signals";
import { useId, useState } from "preact/hooks";
import { Answers } from "../answers.ts";
import { get, send } from "../api.ts";
import { notice } from "../notice.tsx";
import { sentenceOf } from "../problems.ts";
import { serverNow, shopTimeText } from "../time.tsx";
import { Button, Field, Picture } from "../ui.tsx";
import { photoBytesMax, photoTypes } from "./photo.ts";

type Settings = {
  readonly name: string;
  readonly currency: string;
  readonly locale: string;
  readonly accent: string | null;
  readonly accents: { readonly light: string; readonly dark: string } | null;
  readonly logo_url: string | null;
  readonly time_zone: string;
  readonly usual: { readonly name: string; readonly currency: string; readonly locale: string };
};

const path = "/api/admin/settings";
const stored = signal<Settings | null>(null);
/** Why they are not there. */
const missing = signal("");

const answers = new Answers();

export const openSettings = (): void => {
  missing.value = "";
  const isTaken = answers.ask();
  get<Settings>(path).then(
    (found) => isTaken() && (stored.value = found),
    (error: unknown) => isTaken() && (missing.value = sentenceOf(error)),
  );
};

/** What the server stores from now on: what was asked before does not know of it. */
function keep(settings: Settings): Settings {
  answers.void();
  stored.value = settings;
  return settings;
}

/** A price as it would be written; empty where nobody can. */
function example(locale: string, currency: string): string {
  try {
    return new Intl.NumberFormat(locale, { style: "currency", currency }).format(1_234.5);
  } catch {
    return "";
  }
}

/** What the pages have where no colour is set. */
const ownAccent = "#b5321a";

type Fields = Readonly<Record<"name" | "currency" | "locale" | "accent", Signal<string>>>;

/** What stands in a field; null where it is empty: as usual. */
const told = ({ value }: Signal<string>): string | null => value.trim() || null;

function bodyOf({ name, currency, locale, accent }: Fields, of: Settings) {
  const isOwn = accent.value === ownAccent && of.accent === null;
  return {
    name: told(name),
    currency: told(currency)?.toUpperCase() ?? null,
    locale: told(locale),
    accent: isOwn ? null : accent.value,
  };
}

function SettingsForm({ of }: { readonly of: Settings }) {
  const [{ fields, busy, wrong }] = useState(() => ({
    fields: {
      name: signal(of.name),
      currency: signal(of.currency),
      locale: signal(of.locale),
      accent: signal(of.accent ?? ownAccent),
    },
    busy: signal(false),
    wrong: signal(""),
  }));
  const save = async () => {
    if (busy.value) return;
    busy.value = true;
    wrong.value = "";
    try {
      const body = bodyOf(fields, of);
      keep(await send<Settings>("PATCH", path, { body, again: true }));
      notice("Saved. Every page shows it when it is opened next.", "good");
    } catch (error) {
      wrong.value = sentenceOf(error);
    } finally {
      busy.value = false;
    }
  };
  return (
    <form
      class="stack card"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <Field
        label="Name of the shop"
        value={fields.name}
        maxLength={60}
        hint={`Empty: ${of.usual.name}, as SHOP_NAME says.`}
      />
      <MoneyFields fields={fields} />
      <AccentField accent={fields.accent} of={of} />
      <p class="form-wrong" role="alert">
        {wrong.value}
      </p>
      <div>
        <Button type="submit" busy={busy.value}>
          Save
        </Button>
      </div>
    </form>
  );
}

function MoneyFields({ fields }: { readonly fields: Fields }) {
  const { currency, locale } = fields;
  const price = example(locale.value, currency.value);
  return (
    <>
      <Field
        label="Currency"
        value={currency}
        maxLength={3}
        hint="Three letters of ISO 4217. Prices stay the figures they are, in its smallest unit."
      />
      <Field
        label="Language of figures"
        value={locale}
        maxLength={35}
        hint={`Such as en or de-AT. A price looks like this: ${price || "none"}`}
      />
    </>
  );
}

function AccentField({ accent, of }: { readonly accent: Signal<string>; readonly of: Settings }) {
  const id = useId();
  const { accents } = of;
  const isAdjusted = accents !== null && of.accent !== accents.light;
  return (
    <div class="field">
      <label for={id}>Accent</label>
      <div class="row">
        <input
          id={id}
          type="color"
          class="colour"
          value={accent.value}
          aria-describedby={`${id}-hint`}
          onInput={(event) => (accent.value = event.currentTarget.value)}
        />
        {of.accent !== null && (
          <Button look="quiet" small onClick={() => void setAccent(null, accent)}>
            Use the usual one
          </Button>
        )}
      </div>
      <p class="field-hint" id={`${id}-hint`}>
        Of buttons and links.{" "}
        {isAdjusted
          ? `It is made ${accents.light} on light pages and ${accents.dark} on dark ones, so that it can be read.`
          : "It is made darker or lighter where it could not be read."}
      </p>
    </div>
  );
}

async function setAccent(colour: string | null, field: Signal<string>): Promise<void> {
  try {
    const body = { accent: colour };
    const { accent } = keep(await send<Settings>("PATCH", path, { body, again: true }));
    field.value = accent ?? ownAccent;
    notice("Saved. Every page shows it when it is opened next.", "good");
  } catch (error) {
    notice(sentenceOf(error), "bad");
  }
}

function LogoForm({ of }: { readonly of: Settings }) {
  const id = useId();
  const [busy] = useState(() => signal(false));
  const set = async (file: File | null) => {
    if (file !== null && file.size > photoBytesMax) {
      notice("The picture has more than 5 MB.", "bad");
      return;
    }
    busy.value = true;
    try {
      if (file === null) {
        await send("DELETE", `${path}/logo`);
        keep({ ...of, logo_url: null });
      } else keep(await send<Settings>("PUT", `${path}/logo`, { file, again: true }));
      notice("Saved. Every page shows it when it is opened next.", "good");
    } catch (error) {
      notice(sentenceOf(error), "bad");
    } finally {
      busy.value = false;
    }
  };
  return (
    <div class="card stack field photo-field">
      <label for={id}>Logo</label>
      <div class="photo-row">
        <Picture src={of.logo_url ?? "/favicon.svg"} size={72} />
        <input
          id={id}
          type="file"
          accept={photoTypes}
          disabled={busy.value}
          aria-describedby={`${id}-hint`}
          onChange={(event) => {
            const [file] = event.currentTarget.files ?? [];
            if (file !== undefined) void set(file);
          }}
        />
        {of.logo_url !== null && (
          <Button look="quiet" small busy={busy.value} onClick={() => void set(null)}>
            Take it away
          </Button>
        )}
      </div>
      <p class="field-hint" id={`${id}-hint`}>
        Beside the shop's name, best as a square. PNG, JPEG, WebP or AVIF of at most 5 MB.
      </p>
    </div>
  );
}

export function SettingsPart() {
  const of = stored.value;
  if (of === null) return <p role="status">{missing.value || "Looking…"}</p>;
  const there = shopTimeText(serverNow());
  return (
    <section class="stack" aria-label="The shop">
      <SettingsForm of={of} />
      <LogoForm of={of} />
      <p class="small-text soft">
        The schedule goes by {of.time_zone}
        {there === null ? ", which is your own zone" : `: it is ${there} now`}. SALE_TIMEZONE sets
        it.
      </p>
    </section>
  );
}
