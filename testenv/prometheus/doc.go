// Package prometheus runs a real Prometheus for tests of what it is to scrape,
// and of the rules and queries that are written for it.
//
// It is Debian's package prometheus, which install.sh unpacks into
// build/prometheus where it is missing. A test lets it scrape programs under
// test, several times a second, and asks what it has:
//
//	p := prometheus.Start(t, prometheus.Options{Targets: []prometheus.Target{{Job: "lhsm_azblob", Address: address}}})
//	p.Wait(`lhsm_azblob_actions_total{code="OK"} > 0`)
package prometheus
