/** What administrators set of their shop: its name, money, colour and logo. */
import { z } from "zod";
import type { Accounts } from "../../access/accounts.ts";
import { accentOf, isColour } from "../../art/accent.ts";
import { photoTypes } from "../../art/photo-process.ts";
import type { Actor } from "../../ledger/commands.ts";
import type { Db } from "../../store/db.ts";
import { changeSettings, readSettings, setLogo, type Settings } from "../../store/settings.ts";
import { readBody, textField } from "../body.ts";
import { withScope } from "../callers.ts";
import { json } from "../problems.ts";
import type { Route } from "../server.ts";
import { isCurrency, localeOf, nameCharactersMax, type Appearance } from "../appearance.ts";
import { logoAddress } from "../logo.ts";
import { photoBytesMax, type PhotoIntake } from "./photos.ts";

const shopName = textField.refine(
  (name) => name.length <= nameCharactersMax,
  `has more than ${nameCharactersMax} characters`,
);
const currency = z
  .string("is not a text")
  .refine(isCurrency, "is not a currency of ISO 4217, such as EUR");
const locale = z.string("is not a text").transform((text, context) => {
  const known = localeOf(text);
  if (known !== null) return known;
  context.addIssue({ code: "custom", message: "is not a language, such as en or de-AT" });
  return z.NEVER;
});
const accent = z
  .string("is not a text")
  .transform((text) => text.toLowerCase())
  .refine(isColour, "is not a colour, such as #b5321a");

const settingsChange = z
  .object({
    name: shopName.nullable().optional().meta({ example: "Paper animals" }),
    currency: currency.nullable().optional().meta({ example: "EUR" }),
    locale: locale.nullable().optional().meta({ example: "en" }),
    accent: accent.nullable().optional().meta({ example: "#b5321a" }),
  })
  .refine((asked) => Object.values(asked).some((value) => value !== undefined), {
    message: "has nothing that can be changed",
  });

const themes = z.object({ light: z.string(), dark: z.string() });
const settingsShape = z.object({
  name: z.string(),
  currency: z.string(),
  minor_unit_digits: z.int().min(0),
  locale: z.string(),
  accent: z.string().nullable().describe("As it was set; null: the pages' own"),
  accents: themes.nullable().describe("As the pages show it, where it can be read"),
  logo_url: z.string().nullable(),
  time_zone: z.string().describe("Of SALE_TIMEZONE"),
  usual: z
    .object({ name: z.string(), currency: z.string(), locale: z.string() })
    .describe("What there is without: SHOP_NAME, CURRENCY and LOCALE"),
  set: z.array(z.enum(["name", "currency", "locale", "accent", "logo"])),
});

const refusals = ["invalid_request", "unauthenticated", "forbidden", "cross_site"] as const;

export type SettingsContext = {
  readonly changingDb: Db;
  readonly appearance: Appearance;
};

export function settingsRoutes(
  accounts: Accounts,
  photos: PhotoIntake,
  context: SettingsContext,
): Route[] {
  const { changingDb } = context;
  return [
    {
      path: "/api/admin/settings",
      methods: {
        GET: {
          cost: "records",
          handle: withScope(accounts, "read", async () =>
            json(shown(context, await readSettings(changingDb))),
          ),
          summary: "What the shop calls itself and looks like",
          auth: "admin",
          answers: { 200: settingsShape },
          refusals: ["unauthenticated", "forbidden"],
        },
        PATCH: {
          handle: withScope(accounts, "manage", (request, _, by) => change(context, request, by)),
          summary: "Set the shop's name, currency, language of figures and accent; null: as usual",
          auth: "admin",
          body: settingsChange,
          answers: { 200: settingsShape },
          refusals,
        },
      },
    },
    {
      path: "/api/admin/settings/logo",
      methods: {
        PUT: {
          handle: withScope(accounts, "manage", (request, _, by) =>
            photos.take(request, async (picture) =>
              json(shown(context, await setLogo(changingDb, picture, by))),
            ),
          ),
          summary: "Give the shop a logo",
          description: "As a product's picture.",
          auth: "admin",
          bodyTypes: photoTypes,
          bodyBytesMax: photoBytesMax,
          answers: { 200: settingsShape },
          refusals: [...refusals, "overloaded"],
        },
        DELETE: {
          handle: withScope(accounts, "manage", async (_request, _, by) => {
            context.appearance.take(await setLogo(changingDb, null, by));
            return new Response(null, { status: 204 });
          }),
          summary: "Take the shop's logo away",
          auth: "admin",
          answers: { 204: null },
          refusals: ["unauthenticated", "forbidden", "cross_site"],
        },
      },
    },
  ];
}

async function change(context: SettingsContext, request: Request, by: Actor): Promise<Response> {
  const body = await readBody(request, settingsChange);
  if (body instanceof Response) return body;
  const said = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined));
  return json(shown(context, await changeSettings(context.changingDb, said, by)));
}

function shown({ appearance }: SettingsContext, set: Settings): z.output<typeof settingsShape> {
  const look = appearance.take(set);
  const { name, currency: code, locale: tag } = appearance.usual;
  const names = ["name", "currency", "locale", "accent", "logo"] as const;
  return {
    name: look.name,
    currency: look.currency,
    minor_unit_digits: look.digits,
    locale: look.locale,
    accent: look.accent,
    accents:
      look.accent === null
        ? null
        : {
            light: accentOf(look.accent, "light").colour,
            dark: accentOf(look.accent, "dark").colour,
          },
    logo_url: logoAddress(look.logo),
    time_zone: look.timeZone,
    usual: { name, currency: code, locale: tag },
    set: names.filter((one) => set[one] !== null),
  };
}
