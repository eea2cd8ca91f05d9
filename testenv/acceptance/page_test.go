package acceptance

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"lhsm-azblob/testenv"
	"lhsm-azblob/testenv/chromium"
)

// openPage opens the service's page in a browser and signs in.
func (s *service) openPage() *chromium.Page {
	s.e.t.Helper()
	p := chromium.Start(s.e.t).Open(s.url)
	p.Allow("401") // before the login, and in the log of the browser as an error
	p.Wait(visible("#login"))
	p.Type(pageToken) // the field has the focus
	p.Press("Enter")
	p.Wait(visible("#content") + `&& document.querySelector("#connection").dataset.state == "live"`)
	return p
}

func visible(selector string) string {
	return fmt.Sprintf(`document.querySelector(%q)?.checkVisibility()`, selector)
}

func text(selector, part string) string {
	return fmt.Sprintf(`document.querySelector(%q)?.textContent.includes(%q)`, selector, part)
}

// TestPageCreate goes the way of the managed service's page: button, path, OK,
// and watches the job to its end, without the mouse.
func TestPageCreate(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	e.write("data/x", randomBytes(100_000, 1))
	e.write("data2/y", []byte("y"))
	e.write("other", []byte("other"))
	p := s.openPage()
	if title := p.Text("title"); title != "Blob integration" {
		t.Errorf("the title is %q", title)
	}
	p.Wait(visible("#current-none"))
	p.Eval(`document.querySelector("#create-open").focus()`, nil)
	p.Press("Enter")
	p.Wait(`document.activeElement.id == "path" && document.querySelector("#create").open`)
	p.Type("/data") // in place of the "/" that is selected
	p.Click("#preview-run")
	p.Wait(text("#preview", "2 files, 97.7 KiB, would be exported."))
	hold := e.gate.Hold(isCommit)
	p.Eval(`document.querySelector("#path").focus()`, nil)
	p.Press("Enter")
	p.Wait(`!document.querySelector("#create").open && ` + text("#current-title", "Current job: 2") + ` && ` + visible("#cancel-current"))
	<-hold.Caught
	p.Wait(text("#current-facts", "of 2"))
	hold.Release()
	p.Wait(text("#current-state", "Completed"))
	p.Wait(`document.querySelector("#current-bar").value == 100 && ` + text("#current-percent", "100 %"))
	p.Wait(`!document.querySelector("#cancel-current").checkVisibility()`)
	p.Wait(text("#announce", "Job 2: Completed"))
	if row := p.Text("#jobs tbody tr"); !strings.Contains(row, "/data") || !strings.Contains(row, "Completed") || strings.Contains(row, "Cancel") {
		t.Errorf("the first row is %q", row)
	}
	e.wantBlob("data2/y", []byte("y"))
	e.wantNoBlob("other")
}

// TestPageCancel cancels by the link in the table, and by the button above it.
func TestPageCancel(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	for i := range 40 { // fewer than max_requests: a cancel needs a slot
		e.write(fmt.Sprintf("many/%02d", i), []byte("content"))
	}
	hold := e.gate.Hold(isCommit)
	p := s.openPage()
	for i, button := range []string{`#jobs [aria-label="Cancel job 1"]`, "#cancel-current"} {
		s.want(0, "archive", "create", "/many")
		s.await("requests are out", func(j jobState) bool { return j.Counters.FilesSubmitted > 0 })
		p.Wait(text("#current-title", fmt.Sprintf("Current job: %d", i+1)))
		p.Wait(visible(button))
		p.Click(button)
		p.Wait(`document.querySelector("#cancel").open`)
		p.Click("#cancel-form .danger")
		p.Wait(text("#current-state", "Canceled") + ` && !document.querySelector("#cancel").open`)
		p.Wait(fmt.Sprintf(`!document.querySelector('#jobs [aria-label="Cancel job %d"]')`, i+1))
	}
	p.Wait(text("#current-facts", "Left"))
	hold.Release()
}

// TestPageFailures lists what failed and why, names of any bytes as text, and
// offers the report. A retry starts from the row.
func TestPageFailures(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	const markup = `<img src=x onerror=alert(1)>`
	e.putBlob(markup, []byte("somebody else's"))
	e.write(markup, []byte("ours"))
	p := s.openPage()
	s.want(3, "archive", "create", "--wait")
	p.Wait(text("#current-state", "Partly completed"))
	p.Click("#current-details")
	p.Wait(`document.querySelector("#details").open && ` + text("#failures tbody", "/"+markup) + ` && ` + text("#failures tbody", "BlobExists"))
	var links []string
	p.Eval(`[...document.querySelectorAll("#downloads a")].map((a) => a.getAttribute("href"))`, &links)
	if len(links) != 2 {
		t.Errorf("the links are %q", links)
	}
	for _, link := range links {
		if status, body := s.request("GET", link, ""); status != http.StatusOK || !strings.Contains(body, "BlobExists") {
			t.Errorf("%s: %d %s", link, status, body)
		}
	}
	p.Press("Escape")
	p.Wait(`!document.querySelector("#details").open && document.activeElement.id == "current-details"`)
	e.deleteBlob(markup)
	p.Click(`#jobs [aria-label="Retry the failures of job 1"]`)
	p.Wait(text("#current-title", "job: 2") + ` && ` + text("#current-state", "Completed"))
	e.wantBlob(markup, []byte("ours"))
}

// TestPageReconnect: the service goes away in the middle of a job and comes
// back. The page says so, finds it again, and nobody has to sign in.
func TestPageReconnect(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	e.write("a", []byte("a"))
	hold := e.gate.Hold(isCommit)
	p := s.openPage()
	p.Allow("ERR_CONNECTION_REFUSED")
	p.Allow("ERR_INCOMPLETE_CHUNKED_ENCODING")
	p.Allow("ERR_CONNECTION_RESET")
	p.Allow("ERR_EMPTY_RESPONSE")
	s.want(0, "archive", "create")
	<-hold.Caught
	p.Wait(text("#current-title", "Current job: 1"))
	s.stop(syscall.SIGKILL)
	p.Wait(`document.querySelector("#connection").dataset.state == "lost" && ` + text("#connection", "Reconnecting"))
	hold.Release()
	s.start()
	p.Wait(`document.querySelector("#connection").dataset.state == "live" && ` + text("#current-state", "Completed"))
	p.Reload()
	p.Wait(visible("#content") + ` && ` + text("#current-title", "Last job: 1"))
}

// TestPageLogin: a wrong token is told, the right one lets in until the sign
// out, and scripts cannot read the session.
func TestPageLogin(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	s := e.startService()
	p := chromium.Start(t).Open(s.url)
	p.Allow("401")
	p.Wait(visible("#login") + ` && document.activeElement.id == "token" && !document.querySelector("#content").checkVisibility()`)
	p.Type("not the token of this one")
	p.Press("Enter")
	p.Wait(text("#login-error", "this is not the service's token"))
	p.Eval(`document.querySelector("#token").select()`, nil)
	p.Type(pageToken)
	p.Press("Enter")
	p.Wait(visible("#content") + ` && ` + visible("#logout"))
	var readable string
	p.Eval(`document.cookie`, &readable)
	if readable != "" {
		t.Errorf("scripts can read %q", readable)
	}
	p.Reload()
	p.Wait(visible("#content"))
	p.Click("#logout")
	p.Wait(visible("#login"))
	p.Reload()
	p.Wait(visible("#login"))
}

// TestPageWithoutCopytool shows what a job waits for.
func TestPageWithoutCopytool(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	s := e.startService()
	e.write("a", []byte("a"))
	p := s.openPage()
	s.want(0, "archive", "create")
	p.Wait(visible("#current-waits") + ` && ` + text("#current-waits", "copytool"))
	e.startCopytool(e.lustre.Mount())
	p.Wait(text("#current-state", "Completed"))
}

// TestPageMovers shows what the copytools' metrics say.
func TestPageMovers(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	metrics, gone := closedPort(t), closedPort(t)
	e.startCopytool(e.lustre.Mount(), "--http", metrics)
	s := e.startService("--mover", "http://"+metrics+"/metrics", "--mover", "http://"+gone+"/metrics")
	e.archived("a", []byte("a"))
	p := s.openPage()
	p.Wait(text("#movers tbody", metrics) + ` && ` + text("#movers tbody", "Answers") + ` && ` + text("#movers tbody", "Unreachable"))
	p.Wait(`document.querySelector("#movers tbody tr").cells[4].textContent == "1"`)
}

// TestPageAccessibility asserts what assistive technology goes by, at the width
// of a phone and of a desk.
func TestPageAccessibility(t *testing.T) {
	e, _ := start(t)
	s := e.startService()
	e.write("a", []byte("a"))
	s.want(0, "archive", "create", "--wait")
	p := s.openPage()
	p.Wait(visible("#jobs"))
	for name, holds := range map[string]string{
		"the language is said":       `document.documentElement.lang == "en"`,
		"there is one h1":            `document.querySelectorAll("h1").length == 1`,
		"there is one main":          `document.querySelectorAll("main").length == 1`,
		"buttons have names":         `[...document.querySelectorAll("button")].every((b) => (b.ariaLabel ?? b.textContent).trim())`,
		"fields have labels":         `[...document.querySelectorAll("input")].every((i) => i.labels.length == 1 && i.labels[0].textContent.trim())`,
		"pictures have alternatives": `[...document.images].every((i) => i.hasAttribute("alt"))`,
		"columns have headers":       `[...document.querySelectorAll("thead th")].every((th) => th.scope == "col" && th.textContent.trim())`,
		"tables have names":          `[...document.querySelectorAll("table")].every((t) => document.getElementById(t.getAttribute("aria-labelledby")))`,
		"dialogs have names":         `[...document.querySelectorAll("dialog")].every((d) => document.getElementById(d.getAttribute("aria-labelledby")))`,
		"the bar has a name":         `document.getElementById(document.querySelector("progress").getAttribute("aria-labelledby"))`,
		"news are told politely":     `document.querySelector("#announce").ariaLive == "polite" && document.querySelector("#connection").role == "status"`,
		"references lead somewhere":  `[...document.querySelectorAll("[aria-describedby]")].every((e) => e.getAttribute("aria-describedby").split(" ").every((id) => document.getElementById(id)))`,
		"ids are unique":             `new Set([...document.querySelectorAll("[id]")].map((e) => e.id)).size == document.querySelectorAll("[id]").length`,
	} {
		var ok bool
		if p.Eval("Boolean("+holds+")", &ok); !ok {
			t.Errorf("it does not hold that %s", name)
		}
	}
	for _, width := range []int{360, 768, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			p.Resize(width, 800, scheme)
			var over float64
			if p.Eval("document.documentElement.scrollWidth - innerWidth", &over); over > 0 {
				t.Errorf("at a width of %d the page is %v pixels wider", width, over)
			}
			var faint []string
			if p.Eval(contrast, &faint); len(faint) > 0 {
				t.Errorf("%s, %d wide: too little contrast in %q", scheme, width, faint)
			}
		}
	}
	// All that can be used can be reached by the keyboard, and the focus is seen.
	p.Eval(`document.activeElement.blur()`, nil)
	seen := map[string]bool{}
	for range 12 {
		p.Press("Tab")
		var at struct{ Name, Outline string }
		p.Eval(`(() => { const e = document.activeElement; return { name: e.id || e.name, outline: getComputedStyle(e).outlineStyle }; })()`, &at)
		if at.Name != "" && at.Outline == "none" {
			t.Errorf("the focus on %s does not show", at.Name)
		}
		seen[at.Name] = true
	}
	for _, want := range []string{"create-open", "current-details", "details", "logout"} {
		if !seen[want] {
			t.Errorf("Tab does not come to %s; it comes to %v", want, seen)
		}
	}
}

// contrast lists the texts that have less than WCAG's 4.5 to 1 with what is behind them.
const contrast = `(() => {
	const parse = (c) => c.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => {
		const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * x + 0.7152 * y + 0.0722 * z;
	};
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c.length < 4 || c[3] > 0) return c;
		}
		return [255, 255, 255];
	};
	const faint = [];
	for (const e of document.querySelectorAll("body *")) {
		const own = [...e.childNodes].some((n) => n.nodeType == Node.TEXT_NODE && n.data.trim());
		if (!own || !e.checkVisibility() || e.disabled || e.closest(".unseen, .skip, thead, noscript")) continue;
		const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) faint.push(e.textContent.trim().slice(0, 30) + " " + ratio.toFixed(2));
	}
	return faint;
})()`

// TestPageRequests: what is open does not hold up the service's end.
func TestPageRequests(t *testing.T) {
	e := newEnv(t, testenv.Options{})
	s := e.startService()
	p := s.openPage()
	p.Allow("Failed to load resource") // what it was asking for as the service ended
	began := time.Now()
	s.stop(syscall.SIGTERM)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("the service needed %v to stop while a page was open", took)
	}
}
