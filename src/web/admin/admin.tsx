/**
 * The administrators' page: its parts, each under a fragment of its own (`place.ts`). What an account
 * may do the server decides; others find a friendly word here.
 */
import { computed, effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { mount } from "../layout.tsx";
import { titleOf } from "../house.ts";
import { loginAddress } from "../login/form.tsx";
import { isAdmin, loadUser, user } from "../session.ts";
import { EmptyState, LinkButton } from "../ui.tsx";
import { ActivityPart, openActivity, refreshActivity } from "./activity.tsx";
import { Attempts, openAttempts } from "./attempts.tsx";
import { Coupons, openCoupons, refreshCoupons } from "./coupons.tsx";
import { Customers, openCustomers, refreshCustomers } from "./customers.tsx";
import { Dashboard } from "./dashboard.tsx";
import { Keys, openKeys, refreshKeys } from "./keys.tsx";
import { NodesPart, openNodes } from "./nodes.tsx";
import { openOrders, Orders, refreshOrders } from "./orders.tsx";
import { place } from "./place.ts";
import { openProducts, Products, refreshProducts } from "./products.tsx";
import { openSales, refreshSales, Sales } from "./sales.tsx";
import { watch } from "./stats.ts";
import { openWebhooks, refreshWebhooks, Webhooks } from "./webhooks.tsx";
import { openSettings, SettingsPart } from "./settings.tsx";

const refreshMs = 10_000;
const nothing = (): void => undefined;

const parts = [
  { name: "live", words: "Live", open: nothing, refresh: nothing, of: Dashboard },
  { name: "orders", words: "Orders", open: openOrders, refresh: refreshOrders, of: Orders },
  {
    name: "products",
    words: "Products",
    open: openProducts,
    refresh: refreshProducts,
    of: Products,
  },
  { name: "sales", words: "Sales", open: openSales, refresh: refreshSales, of: Sales },
  {
    name: "customers",
    words: "Customers",
    open: openCustomers,
    refresh: refreshCustomers,
    of: Customers,
  },
  { name: "coupons", words: "Coupons", open: openCoupons, refresh: refreshCoupons, of: Coupons },
  { name: "keys", words: "Keys", open: openKeys, refresh: refreshKeys, of: Keys },
  {
    name: "webhooks",
    words: "Webhooks",
    open: openWebhooks,
    refresh: refreshWebhooks,
    of: Webhooks,
  },
  {
    name: "activity",
    words: "Activity",
    open: openActivity,
    refresh: refreshActivity,
    of: ActivityPart,
  },
  { name: "attempts", words: "Attempts", open: openAttempts, refresh: nothing, of: Attempts },
  { name: "settings", words: "Shop", open: openSettings, refresh: nothing, of: SettingsPart },
  { name: "nodes", words: "Processes", open: openNodes, refresh: nothing, of: NodesPart },
] as const;

const lacksFactor = computed(() => user.value?.second_factor_demanded === true);
const administrates = computed(() => isAdmin.value && !lacksFactor.value);

const part = computed(() => parts.find(({ name }) => name === place.value.part) ?? parts[0]);

function Admin() {
  const { of: Part, name } = part.value;
  const tabs = useRef<HTMLElement>(null);
  // On a phone the tabs are wider than the screen.
  useEffect(() => {
    const current = tabs.current?.querySelector("[aria-current]");
    // In the middle, so that it is seen that there are others on both sides.
    current?.scrollIntoView({ block: "nearest", inline: "center", behavior: "instant" });
  }, [name]);
  if (user.value !== undefined && !isAdmin.value)
    return (
      <div class="wide admin-body">
        <EmptyState title="For administrators" animal={6} whole>
          {user.value === null ? (
            <>
              <p>Log in with an account that may administer the shop.</p>
              <LinkButton href={loginAddress()}>Log in</LinkButton>
            </>
          ) : (
            <>
              <p>
                {user.value.username} may buy in the shop, but not run it. An administrator can
                change that.
              </p>
              <LinkButton href="/shop" look="quiet">
                To the shop
              </LinkButton>
            </>
          )}
        </EmptyState>
      </div>
    );
  if (lacksFactor.value)
    return (
      <div class="wide admin-body">
        <EmptyState title="A second factor first" animal={6} whole>
          <p>
            Whoever runs this shop asks a second factor of its administrators, and your account has
            none. It takes a phone with an authenticator app, and a minute.
          </p>
          <LinkButton href="/account#second-factor">Set it up</LinkButton>
        </EmptyState>
      </div>
    );
  return (
    <div class="wide stack admin-body">
      <div class="admin-head">
        <h1>Administration</h1>
        <nav ref={tabs} class="tabs" aria-label="Administration">
          {parts.map((one) => (
            <a
              key={one.name}
              href={`#${one.name}`}
              aria-current={one.name === name ? "page" : undefined}
            >
              {one.words}
            </a>
          ))}
        </nav>
      </div>
      {administrates.value && <Part key={name} />}
    </div>
  );
}

effect(() => {
  const { name, words, open } = part.value;
  document.title = titleOf(`${words} · Administration`);
  watch(administrates.value && name === "live");
  if (administrates.value) open();
});

/** What others change shows without a reload; a form that is open is not disturbed by it. */
const refresh = (): void => {
  if (!document.hidden && administrates.peek()) part.peek().refresh();
};
setInterval(refresh, refreshMs);
document.addEventListener("visibilitychange", refresh);

void loadUser();
mount(<Admin />);
