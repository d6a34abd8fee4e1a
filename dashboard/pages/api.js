/** Requests to our own server; an error's message is for the person in front of the page. */

export async function get(path, params = {}, signal = undefined) {
  const query = new URLSearchParams(
    Object.entries(params).filter(([, value]) => value !== null && value !== undefined),
  );
  const text = query.toString();
  return await answered(await reach(text === "" ? path : `${path}?${text}`, { signal }));
}

export async function post(path, body) {
  return await answered(
    await reach(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  );
}

/** Rejects with a sentence; `AbortError` passes. */
export async function reach(path, init) {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The dashboard can't be reached: is it running?");
  }
}

async function answered(response) {
  if (response.status === 401) {
    location.assign(`/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`);
  }
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  const value = isJson ? await response.json() : null;
  if (!response.ok) {
    const error = new Error(value?.detail ?? `The server answered ${response.status}.`);
    error.status = response.status;
    throw error;
  }
  return value;
}
