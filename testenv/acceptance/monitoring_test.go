package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lhsm-azblob/testenv/gate"
	"lhsm-azblob/testenv/prometheus"
)

const (
	alertRules   = "../../packaging/prometheus/lhsm-azblob.rules.yml"
	alertTests   = "../../packaging/prometheus/lhsm-azblob.test.yml"
	dashboard    = "../../packaging/grafana/lhsm-azblob.json"
	alertsManual = "../../docs/monitoring.md"
)

// TestMonitoring lets two Prometheus, with and without native histograms, scrape the
// programs at work, and puts every query of the dashboard and of the alerts to both.
func TestMonitoring(t *testing.T) {
	e, c := start(t, "--http", "127.0.0.1:0")
	s := e.startService()
	_, address, _ := strings.Cut(c.waitLog("serving HTTP"), "address=")
	o := prometheus.Options{Rules: []string{alertRules}, Targets: []prometheus.Target{
		{Job: "lhsm_azblob", Address: address},
		{Job: "lhsmctl", Address: strings.TrimPrefix(s.url, "http://"), Token: e.file("prometheus-token", pageToken)},
	}}
	classic := prometheus.Start(t, o)
	o.NativeHistograms = true
	native := prometheus.Start(t, o)
	for _, p := range []*prometheus.Server{classic, native} {
		p.Wait(`lhsm_azblob_serving == 1 and on() lhsmctl_jobs{state="Queued"} == 0`)
	}
	e.workForMonitoring(s)
	servers := map[string]*prometheus.Server{"classic": classic, "native": native}
	for _, p := range servers { // both, before a minute is over
		// The failure is the last that happens; and a rate needs two samples.
		p.Wait(`increase(lhsm_azblob_actions_total{code="BlobExists", op="ARCHIVE"}[1m]) > 0`)
		p.Wait(`increase(lhsm_azblob_blob_requests_total{status="409"}[1m]) >= 0`)
	}
	for name, p := range servers {
		t.Run(name, func(t *testing.T) { wantDashboardServed(t, p) })
		t.Run(name+" alerts", func(t *testing.T) { wantAlertsServed(t, p) })
	}
	if samples, err := native.Query(`lhsm_azblob_action_duration_seconds_bucket`); err != nil || len(samples) > 0 {
		t.Errorf("with native histograms there are classic buckets as well: %d, %v", len(samples), err)
	}
}

// workForMonitoring is something of everything: archives, a restore, a remove, a busy
// account, a job, a failure.
func (e *env) workForMonitoring(s *service) {
	e.t.Helper()
	e.gate.Fault(isCommit, 1, gate.Refuse(http.StatusServiceUnavailable, "ServerBusy"))
	e.released("dir/a", randomBytes(100_000, 1))
	e.hsm("restore", "dir/a")
	e.archived("dir/b", []byte("b"))
	e.hsm("remove", "dir/b")
	e.write("dir/c", []byte("c"))
	s.want(0, "archive", "create", "/dir/c", "--wait")
	e.putBlob("taken", []byte("somebody else's"))
	e.write("taken", []byte("ours"))
	e.hsm("archive", "taken")
}

// panel is what a test needs to know of a dashboard's panel.
type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ Expr string }
}

func readDashboard(t *testing.T) (panels []panel, variables []string) {
	t.Helper()
	b, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels     []panel
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			variables = append(variables, v.Definition)
		}
	}
	return d.Panels, variables
}

func wantDashboardServed(t *testing.T, p *prometheus.Server) {
	panels, variables := readDashboard(t)
	in := strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m")
	queries := 0
	for _, panel := range panels {
		for _, target := range panel.Targets {
			queries++
			wantResult(t, p, panel.Title, in.Replace(target.Expr))
		}
	}
	for _, v := range variables {
		metric, label, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(v, "label_values("), ")"), ", ")
		wantResult(t, p, v, fmt.Sprintf(`%s{%s!=""}`, metric, label))
	}
	if queries < 30 || len(variables) == 0 {
		t.Errorf("only %d queries and %d variables were found", queries, len(variables))
	}
}

// wantResult asks until there is one: after a scrape that took too long there is nothing
// before the next.
func wantResult(t *testing.T, p *prometheus.Server, where, query string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		samples, err := p.Query(query)
		if err != nil {
			t.Errorf("%s: %v, of %s", where, err, query)
		}
		if err != nil || len(samples) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: no result of %s", where, query)
		}
	}
}

var selector = regexp.MustCompile(`\b(up|(?:lhsm_azblob|lhsmctl|process)_\w+)(?:\{([^}]*)\})?`)

// wantAlertsServed looks for the series that the alerts are about. A rule itself has a
// result in trouble only; that it fires then is shown by TestAlertsFire.
func wantAlertsServed(t *testing.T, p *prometheus.Server) {
	rules := p.Rules()
	if len(rules) < 15 {
		t.Errorf("only %d alerts were found", len(rules))
	}
	for _, r := range rules {
		if _, err := p.Query(r.Query); err != nil || r.LastError != "" {
			t.Errorf("%s: %v, %s", r.Name, err, r.LastError)
		}
		found := selector.FindAllStringSubmatch(r.Query, -1)
		if len(found) == 0 {
			t.Errorf("%s: no metric in %s", r.Name, r.Query)
		}
		for _, m := range found {
			wantResult(t, p, r.Name, m[1]+"{"+presence(m[2])+"}")
		}
	}
}

// presence turns the conditions of a selector into whether the labels are there, and
// keeps those that healthy programs meet as well.
func presence(conditions string) string {
	var labels []string
	for _, c := range regexp.MustCompile(`(\w+)(=~?|!=~?|!~)"[^"]*"`).FindAllStringSubmatch(conditions, -1) {
		condition := c[1] + `!=""`
		if c[1] == "job" {
			condition = c[0]
		}
		labels = append(labels, condition)
	}
	return strings.Join(labels, ",")
}

// TestAlertsFire runs the tests of the rules: each alert fires in the trouble that it is
// about, and in no other.
func TestAlertsFire(t *testing.T) {
	prometheus.Promtool(t, "check", "rules", alertRules)
	prometheus.Promtool(t, "test", "rules", alertTests)
	tests, err := os.ReadFile(alertTests)
	if err != nil {
		t.Fatal(err)
	}
	fired := names(regexp.MustCompile(`alertname="(\w+)"`), string(tests))
	for _, name := range alertNames(t) {
		if !slices.Contains(fired, name) {
			t.Errorf("no test lets %s fire", name)
		}
	}
}

func alertNames(t *testing.T) []string {
	t.Helper()
	rules, err := os.ReadFile(alertRules)
	if err != nil {
		t.Fatal(err)
	}
	return names(regexp.MustCompile(`- alert: (\w+)`), string(rules))
}

// names are the first groups of all matches, sorted, each once.
func names(pattern *regexp.Regexp, text string) (list []string) {
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestManualListsAlerts holds the table of alerts against the rules, and those against
// what an alert owes to whom it wakes.
func TestManualListsAlerts(t *testing.T) {
	manual, err := os.ReadFile(alertsManual)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(regexp.MustCompile("(?m)^\\| `(Lhsm\\w+)` \\|"), string(manual)), alertNames(t); !slices.Equal(got, want) {
		t.Errorf("docs/monitoring.md lists the alerts %q, the rules have %q", got, want)
	}
	p := prometheus.Start(t, prometheus.Options{Rules: []string{alertRules}})
	for _, r := range p.Rules() {
		severity := r.Labels["severity"]
		if !slices.Contains([]string{"critical", "warning", "info"}, severity) || r.Annotations["summary"] == "" || r.Annotations["runbook"] == "" {
			t.Errorf("%s has severity %q and annotations %v", r.Name, severity, r.Annotations)
		}
		if row := fmt.Sprintf("| `%s` | %s |", r.Name, severity); !strings.Contains(string(manual), row) {
			t.Errorf("docs/monitoring.md has no row %q", row)
		}
	}
}

// TestDashboardIsTidy: panels are told apart, explained, have units, and lie side by side.
func TestDashboardIsTidy(t *testing.T) {
	panels, _ := readDashboard(t)
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && (p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0) {
			t.Errorf("panel %q lacks a description, a unit or a query", p.Title)
		}
		g := p.GridPos
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok || x >= 24 {
					t.Fatalf("panel %q lies over %q, or outside", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
