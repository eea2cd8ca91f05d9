// Package chromium drives a real headless Chromium for tests of web pages.
//
// It is Debian's package chromium, which install.sh brings where it is missing,
// and it is spoken to over a pipe in the DevTools protocol: one JSON message
// after the other, each ended by a NUL. A test does what a user does, with the
// mouse and the keyboard, and waits for what appears:
//
//	page := chromium.Start(t).Open(url)
//	page.Click("#create-open")
//	page.Type("/data")
//	page.Press("Enter")
//	page.Wait(`document.querySelector("#current-state").textContent == "Completed"`)
//
// What a page must never do is noted all along, and fails the test at its end:
// exceptions, refused loads, breaches of its Content-Security-Policy, and
// requests to any host but its own.
package chromium
