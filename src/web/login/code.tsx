/** The field for the code of a second factor: of an app, or one of the recovery codes. */
import { type Signal, signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Field } from "../ui.tsx";

export function CodeField({
  value,
  error,
  takesFocus = false,
  onlyApp = false,
}: {
  readonly value: Signal<string>;
  readonly error: string | undefined;
  /** It has come while somebody was typing elsewhere. */
  readonly takesFocus?: boolean;
  /** There are no recovery codes yet. */
  readonly onlyApp?: boolean;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [isRecovery] = useState(() => signal(false));
  useEffect(() => {
    if (takesFocus) box.current?.querySelector("input")?.focus();
  }, []);
  return (
    <div ref={box} class="enter-code">
      {isRecovery.value ? (
        <Field
          key="recovery"
          label="Recovery code"
          value={value}
          hint="One of those that you kept when you set it up. Each is good once."
          error={error}
          autocomplete="off"
          spellcheck={false}
          maxLength={40}
          required
        />
      ) : (
        <Field
          key="app"
          label="Code"
          value={value}
          hint="The six digits that your authenticator app shows."
          error={error}
          autocomplete="one-time-code"
          inputMode="numeric"
          maxLength={12}
          required
        />
      )}
      {!onlyApp && (
        <button
          type="button"
          class="enter-other"
          onClick={() => {
            value.value = "";
            isRecovery.value = !isRecovery.value;
          }}
        >
          {isRecovery.value ? "Use the app instead" : "Use a recovery code instead"}
        </button>
      )}
    </div>
  );
}
