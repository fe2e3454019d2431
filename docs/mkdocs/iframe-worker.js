// Search runs in a Worker, and browsers start none for pages that are opened from the disk. There,
// this one runs its script in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class IFrameWorker extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      this.ready = new Promise((resolve) => {
        frame.addEventListener("load", () => this.start(frame.contentWindow, url, resolve), { once: true });
      });
      frame.hidden = true;
      document.body.append(frame);
    }

    start(inside, url, resolve) {
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inside.document.createElement("script");
      script.addEventListener("load", () => resolve(inside));
      script.src = url;
      inside.document.head.append(script);
    }

    postMessage(data) {
      this.ready.then((inside) => inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
