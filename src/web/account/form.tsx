/** A form that asks for the password of whoever is logged in, and what is wrong with it. */
import type { Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Field } from "../ui.tsx";

export function Form({
  does,
  children,
}: {
  readonly does: () => Promise<void>;
  readonly children: ComponentChildren;
}) {
  return (
    <form
      class="enter-form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void does();
      }}
    >
      {children}
    </form>
  );
}

/** Their present password. */
export const Password = ({
  username,
  label,
  value,
  error,
}: {
  readonly username: string;
  readonly label: string;
  readonly value: Signal<string>;
  readonly error: string | undefined;
}) => (
  <>
    {/* Tells password managers whose it is. */}
    <input type="text" value={username} autocomplete="username" readOnly hidden />
    <Field
      label={label}
      type="password"
      value={value}
      error={error}
      autocomplete="current-password"
      maxLength={256}
      required
    />
  </>
);

export const Wrong = ({ text }: { readonly text: string | undefined }) => (
  <p class="enter-wrong" role="alert">
    {text}
  </p>
);
