package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/internal/front"
	"sekimori/internal/spool"
	"sekimori/internal/web"
)

// pages are the two HTTP servers: the pages for people, and the status page with metrics and health.
type pages struct {
	s           *server
	status, ops net.Listener // nil: not configured
	page, tools *http.Server
	site        *web.Site // nil: no pages
	renewed     func()    // reads the certificate of the pages again when its files have changed; nil without one
	ended       chan struct{}
	once        sync.Once
}

const certificatePoll = 5 * time.Second

// openPages listens; an address that is not configured is not listened on.
func openPages(s *server) (*pages, error) {
	p := &pages{s: s, ended: make(chan struct{})}
	var err error
	if addr := s.cfg().HTTP.Listen; servesPages(s.cfg()) {
		if p.status, err = s.inherited.listener("http", s.cfg)("tcp", addr); err != nil {
			return nil, fmt.Errorf("http.listen: %w", err)
		}
	}
	if addr := s.cfg().Metrics.Listen; addr != "" {
		if p.ops, err = s.inherited.listener("metrics", s.cfg)("tcp", addr); err != nil {
			p.close()
			return nil, fmt.Errorf("metrics.listen: %w", err)
		}
	}
	status := s.statusPage()
	p.page = web.Server(http.NotFoundHandler())
	if servesPages(s.cfg()) {
		if p.site, err = s.openSite(status); err != nil {
			p.close()
			return nil, err
		}
		p.page = web.Server(p.site.Handler())
	}
	if cfg := s.cfg().HTTP; cfg.TLSCertFile != "" {
		if p.page.TLSConfig, p.renewed, err = front.WatchedTLS(cfg.TLSCertFile, cfg.TLSKeyFile, s.log); err != nil {
			p.close()
			return nil, err
		}
	}
	p.tools = web.Server(web.Operations(s.metrics.Handler(), s.health, status))
	return p, nil
}

// serve runs both until close.
func (p *pages) serve() {
	var wg sync.WaitGroup
	if p.status != nil {
		wg.Go(func() {
			if p.renewed != nil {
				p.over(p.status, p.page.ServeTLS(p.status, "", ""))
			} else {
				p.over(p.status, p.page.Serve(p.status))
			}
		})
	}
	if p.renewed != nil {
		wg.Go(p.watchCertificate)
	}
	if p.ops != nil {
		wg.Go(func() { p.over(p.ops, p.tools.Serve(p.ops)) })
	}
	wg.Wait()
}

func (p *pages) watchCertificate() {
	t := time.NewTicker(certificatePoll)
	defer t.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-t.C:
			p.renewed()
		}
	}
}

func (p *pages) over(l net.Listener, err error) {
	if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		p.s.log.Error("an HTTP server ended", "addr", l.Addr().String(), "err", err)
	}
}

// close ends both; requests under way have three seconds.
func (p *pages) close() {
	p.once.Do(func() { close(p.ended) })
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for _, srv := range []*http.Server{p.page, p.tools} {
		if srv != nil {
			_ = srv.Shutdown(ctx)
		}
	}
	if p.site != nil {
		p.site.Close()
	}
	for _, l := range []net.Listener{p.status, p.ops} {
		if l != nil {
			_ = l.Close()
		}
	}
}

func (s *server) addrs() []string {
	var all []string
	if s.front != nil {
		for _, a := range s.front.Addrs() {
			all = append(all, a.String())
		}
	}
	return all
}

// entries returns how many mails of a kind are in the spool.
func (s *server) entries(kind string) int {
	list, err := s.spool.List(kind)
	if err != nil {
		s.log.Warn("the spool cannot be listed", "err", err)
	}
	return len(list)
}

// gauges adds the numbers that other packages keep.
func (s *server) gauges() {
	m, c := s.metrics, s.relay.Counters
	m.Gauge("sekimori_queue", "Mails in the spool that wait for a backend.", func() float64 { all, _ := s.relay.QueueLen(); return float64(all) })
	m.Gauge("sekimori_queue_inflight", "Of these: sent to a backend whose answer is awaited.", func() float64 { _, n := s.relay.QueueLen(); return float64(n) })
	m.Gauge("sekimori_pending_holds", "Held mails that wait in the spool for the quarantine's store.", func() float64 { return float64(s.entries(spool.KindHold)) })
	m.Gauge("sekimori_store_up", "1 while the store answers.", func() float64 {
		if s.store.Healthy() {
			return 1
		}
		return 0
	})
	s.recipientGauges()
	s.backendGauges()
	for _, x := range []struct {
		name, help string
		n          *atomic.Int64
	}{
		{"sekimori_delivered_total", "Recipients that a backend took.", &c.Delivered},
		{"sekimori_refused_by_backend_total", "Recipients that a backend refused before the mail was acknowledged.", &c.Refused},
		{"sekimori_spooled_total", "Mails put into the queue.", &c.Spooled},
		{"sekimori_late_answers_total", "Mails whose backend answered the final dot after the budget.", &c.Late},
		{"sekimori_duplicates_total", "Mails sent again because the connection was lost behind the final dot.", &c.Duplicates},
		{"sekimori_backend_crowded_total", "Times a backend said 421 to a connection of ours and its pool was made smaller.", &c.Shrunk},
		{"sekimori_retries_total", "Attempts from the queue.", &c.Retries},
		{"sekimori_undeliverable_total", "Recipients given up after the mail was acknowledged: the sender was told, or it is held.", &c.Failed},
		{"sekimori_reports_total", "Reports to senders put into the queue: of failures and of delays.", &c.Notices},
	} {
		m.Counter(x.name, x.help, func() float64 { return float64(x.n.Load()) })
	}
}

// announce says where everything listens: in the log, and in words on a terminal. A journal or a file gets the log alone.
func (s *server) announce() {
	out := s.app.out
	if !terminal(out) {
		out = io.Discard
	}
	fmt.Fprintf(out, "Sekimori %s on %s\n", version, s.cfg().Hostname)
	for _, addr := range s.addrs() {
		s.log.Info("listening", "service", "smtp", "addr", addr)
		fmt.Fprintf(out, "  takes mail   %s for %s\n", addr, strings.Join(s.domains(), ", "))
	}
	if l := s.pages.status; l != nil {
		s.log.Info("listening", "service", "http", "addr", l.Addr().String())
		fmt.Fprintf(out, "  pages        http://%s/ (administrators: /admin/)\n", l.Addr())
	}
	if l := s.pages.ops; l != nil {
		s.log.Info("listening", "service", "metrics", "addr", l.Addr().String())
		fmt.Fprintf(out, "  status       http://%s/, /metrics, /healthz\n", l.Addr())
	}
	for _, d := range s.cfg().Domains {
		for _, b := range d.Backends {
			fmt.Fprintf(out, "  delivers to  %s\n", b.URL)
		}
	}
	fmt.Fprintf(out, "  keeps        %s\n", s.cfg().DataDir)
	for _, d := range s.notLooking() {
		s.log.Warn("not looked at", "what", d)
		fmt.Fprintf(out, "  not looked at: %s\n", d)
	}
	for _, w := range s.warn.list() { // in the log already
		fmt.Fprintf(out, "  warning:     %s\n", w)
	}
	if addrs := s.addrs(); len(addrs) > 0 && len(s.domains()) > 0 && s.cfg().File == "" {
		to := "taro@" + s.domains()[0]
		fmt.Fprintf(out, "\nSend a first mail:\n  printf 'From: you@example.org\\r\\nTo: %s\\r\\nSubject: hello\\r\\n\\r\\nhello\\r\\n' | curl -sv smtp://%s --mail-from you@example.org --mail-rcpt %s -T -\n\n",
			to, addrs[0], to)
	}
}

func (s *server) domains() []string {
	var all []string
	for _, d := range s.cfg().Domains {
		all = append(all, d.Names...)
	}
	return all
}
