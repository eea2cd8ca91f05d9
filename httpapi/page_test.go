package httpapi

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// TestPage: everything that the page refers to is there, is its own, and comes
// with the policy that forbids everything else.
func TestPage(t *testing.T) {
	server := serve(t, newFake(), Access{Token: testToken})
	weight := 0
	status, header, html := ask(t, "GET", server.URL+"/", "")
	if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/html") || !strings.Contains(html, "<title>Blob integration</title>") {
		t.Fatalf("%d %q", status, header)
	}
	weight += len(html)
	reference := regexp.MustCompile(`(?:src|href)="([^"#]+)"|from "\./([^"]+)"`)
	seen := map[string]bool{}
	queue := []string{html}
	for len(queue) > 0 {
		for _, m := range reference.FindAllStringSubmatch(queue[0], -1) {
			name := m[1] + m[2]
			if seen[name] {
				continue
			}
			seen[name] = true
			status, header, content := ask(t, "GET", server.URL+"/"+name, "")
			if status != 200 || header.Get("ETag") == "" || header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %d %v", name, status, header)
			}
			if status, _, _ := ask(t, "GET", server.URL+"/"+name, "", "If-None-Match", header.Get("ETag")); status != 304 {
				t.Errorf("%s again: %d, want 304", name, status)
			}
			weight += len(content)
			queue = append(queue, content)
		}
		queue = queue[1:]
	}
	names, _ := fs.Glob(pageFiles, "page/*")
	if len(seen) != len(names)-1 {
		t.Errorf("the page refers to %v, and %v are compiled in", seen, names)
	}
	if weight > 64<<10 {
		t.Errorf("the page weighs %d bytes", weight)
	}
	t.Logf("the page weighs %d bytes in %d files", weight, len(names))
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(header.Get("Content-Security-Policy"), want) {
			t.Errorf("the policy has no %s", want)
		}
	}
	if strings.Contains(header.Get("Content-Security-Policy"), "unsafe") {
		t.Error("the policy allows what is unsafe")
	}
	if m := regexp.MustCompile(`"https?://|style="|onclick|<script>`).FindString(html); m != "" {
		t.Errorf("the page has %s in it", m)
	}
}
