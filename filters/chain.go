package filters

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"sekimori/internal/mail"
)

// grace is how much longer than its deadline a stage waits for a check that is about to notice its own time-out.
const grace = 50 * time.Millisecond

// Chain is the list of checks as configured. It is immutable and safe for concurrent use.
type Chain struct {
	stages   [mail.Conclude + 1][]link
	off      []mail.Outcome // what every mail is told of checks that do not run
	specs    []Spec
	deadline time.Duration
	log      *slog.Logger
	now      func() time.Time
	observe  func(mail.Outcome)
}

type link struct {
	name  string
	check Check
}

// ChainOptions say how NewChain makes the checks.
type ChainOptions struct {
	Specs    []Spec
	Env      func(name string) Env // what each check is given; Off is set by NewChain
	Disabled map[string]bool       // [filters.NAME] enabled = false
	Deadline time.Duration         // for the checks of one stage
	Log      *slog.Logger
	Now      func() time.Time
	Observe  func(mail.Outcome) // is told of every outcome, for metrics; may be nil
}

// NewChain makes every check that is configured. It returns all errors of all checks at once. Work that checks start in
// the background ends with ctx.
func NewChain(ctx context.Context, o ChainOptions) (*Chain, error) {
	c := &Chain{specs: o.Specs, deadline: o.Deadline, log: o.Log, now: o.Now, observe: o.Observe}
	if c.observe == nil {
		c.observe = func(mail.Outcome) {}
	}
	var errs []error
	for _, spec := range o.Specs {
		if o.Disabled[spec.Name] {
			c.switchOff(spec, "switched off")
			continue
		}
		env := o.Env(spec.Name)
		why := "not configured"
		env.Off = func(w string) { why = w }
		check, err := spec.New(ctx, env)
		switch {
		case err != nil:
			errs = append(errs, err)
		case check == nil:
			c.switchOff(spec, why)
		default:
			for _, stage := range spec.Stages {
				c.stages[stage] = append(c.stages[stage], link{spec.Name, check})
			}
		}
	}
	return c, errors.Join(errs...)
}

func (c *Chain) switchOff(spec Spec, why string) {
	c.off = append(c.off, mail.Outcome{Check: spec.Name, Stage: spec.Stages[0], State: mail.StateSkipped, Why: why, Off: true})
}

// Off returns an outcome for each check that does not run at all, with the reason.
func (c *Chain) Off() []mail.Outcome { return slices.Clone(c.off) }

// Readier is implemented by a check that may be configured and still unable to look. NotReady says why, in English and
// short; "" when it looks.
type Readier interface {
	NotReady() string
}

// NotLooking says which checks do not look at anything at the moment, and why: those that are off and those that are not
// ready.
func (c *Chain) NotLooking() []string {
	var all []string
	for _, o := range c.off {
		all = append(all, o.Check+": "+o.Why)
	}
	for _, links := range c.stages {
		for _, l := range links {
			if r, ok := l.check.(Readier); ok {
				if why := r.NotReady(); why != "" && !slices.Contains(all, l.name+": "+why) {
					all = append(all, l.name+": "+why)
				}
			}
		}
	}
	return all
}

// Needs returns what the named check depends on.
func (c *Chain) Needs(check string) []string {
	for _, s := range c.specs {
		if s.Name == check {
			return s.Needs
		}
	}
	return nil
}

// Run is the checks of one stage under way for one transaction. It belongs to one goroutine.
type Run struct {
	chain   *Chain
	links   []link
	stage   mail.Stage
	began   time.Time
	done    chan numbered
	results []mail.Outcome
	have    []bool
	left    int
	cancel  context.CancelFunc
	ctx     context.Context
}

type numbered struct {
	i int
	o mail.Outcome
}

// Start runs the checks of tx.Stage side by side and returns at once. The transaction is copied: what the caller changes
// afterwards no check sees. A trusted client's connect and helo stages have nothing to run, nor has any stage before DATA when
// nobody knows who is behind a trusted relay: what is asked there is about the client.
func (c *Chain) Start(ctx context.Context, tx mail.Transaction) *Run {
	links := c.stages[tx.Stage]
	r := &Run{chain: c, links: links, stage: tx.Stage, began: c.now()}
	if len(links) == 0 {
		return r
	}
	r.results = make([]mail.Outcome, len(links))
	r.have = make([]bool, len(links))
	if why := notAsked(&tx); why != "" {
		for i, l := range links {
			r.results[i] = mail.Outcome{Check: l.name, Stage: tx.Stage, State: mail.StateSkipped, Why: why}
			r.have[i] = true
		}
		return r
	}
	r.left = len(links)
	r.done = make(chan numbered, len(links))
	r.ctx, r.cancel = context.WithTimeout(ctx, c.deadline)
	for i, l := range links {
		go func() { r.done <- numbered{i, c.one(r.ctx, l, &tx)} }()
	}
	return r
}

// notAsked says why a whole stage has nothing to run; "": it has.
func notAsked(tx *mail.Transaction) string {
	switch s := tx.Session; {
	case s.Trusted && tx.Stage <= mail.Helo:
		return "trusted client"
	case s.Unknown != "" && tx.Stage < mail.Data:
		return "client not known: " + s.Unknown
	case s.Relayed() && s.Helo == "" && tx.Stage == mail.Helo:
		return "the relay does not say the HELO"
	}
	return ""
}

// Wait returns the outcomes in the order of Specs. A check that has not answered when the stage's deadline is over has
// failed. The outcomes of a run are the same at every call.
func (r *Run) Wait() []mail.Outcome {
	if r.left > 0 {
		limit := time.NewTimer(r.chain.deadline - r.chain.now().Sub(r.began) + grace)
		defer limit.Stop()
		for r.left > 0 && r.take(limit.C) {
		}
		r.giveUp()
	}
	if r.cancel != nil {
		r.cancel()
		r.cancel = nil
	}
	return r.results
}

// Peek waits until every check has answered or ctx is done, and returns the outcomes that are there.
func (r *Run) Peek(ctx context.Context) []mail.Outcome {
	for r.left > 0 {
		select {
		case n := <-r.done:
			r.put(n)
		case <-ctx.Done():
			return r.answered()
		}
	}
	return r.answered()
}

// Cancel ends checks whose answer nobody will ask for.
func (r *Run) Cancel() {
	if r.cancel != nil {
		r.cancel()
	}
}

func (r *Run) take(limit <-chan time.Time) bool {
	select {
	case n := <-r.done:
		r.put(n)
		return true
	case <-limit:
		return false
	}
}

func (r *Run) put(n numbered) {
	r.results[n.i] = n.o
	r.have[n.i] = true
	r.left--
	r.chain.observe(n.o)
}

func (r *Run) answered() []mail.Outcome {
	var out []mail.Outcome
	for i, o := range r.results {
		if r.have[i] {
			out = append(out, o)
		}
	}
	return out
}

func (r *Run) giveUp() {
	for i, l := range r.links {
		if !r.have[i] {
			o := r.chain.failed(l.name, r.stage, "no answer within "+r.chain.deadline.String())
			o.Took = r.chain.now().Sub(r.began)
			r.chain.observe(o)
			r.results[i], r.have[i] = o, true
		}
	}
	r.left = 0
}

// one runs one check and turns whatever happens into an outcome; a check that panics could not look.
func (c *Chain) one(ctx context.Context, l link, tx *mail.Transaction) (o mail.Outcome) {
	start := c.now()
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("check panicked", "check", l.name, "stage", tx.Stage.String(), "id", tx.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			o = c.failed(l.name, tx.Stage, "internal error")
		}
		o.Took = c.now().Sub(start)
	}()
	res, err := l.check.Check(ctx, tx)
	if err != nil {
		c.log.Debug("check failed", "check", l.name, "stage", tx.Stage.String(), "id", tx.ID, "err", err)
		return c.failed(l.name, tx.Stage, why(err))
	}
	o = mail.Outcome{Result: res, Check: l.name, Stage: tx.Stage}
	if res.Skipped != "" {
		o.State, o.Why = mail.StateSkipped, res.Skipped
	}
	return o
}

func (c *Chain) failed(name string, stage mail.Stage, why string) mail.Outcome {
	f := mail.Finding{Symbol: TempError(name), Evidence: []mail.Evidence{{Key: "why", Value: why}}}
	return mail.Outcome{
		Check: name, Stage: stage, State: mail.StateTempError, Why: why,
		Result: mail.Result{Findings: []mail.Finding{f}},
	}
}

// TempError is the symbol that says that a check could not look.
func TempError(check string) string { return strings.ToUpper(check) + "_TEMPERROR" }

// why makes an error short enough for a header.
func why(err error) string {
	var dnsErr *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.As(err, &dnsErr) && dnsErr.IsTimeout:
		return "DNS timeout"
	case errors.As(err, &dnsErr):
		return "DNS: " + dnsErr.Err
	}
	s := err.Error()
	if len(s) > 120 {
		s = s[:120]
	}
	return s
}

// Symbols returns the symbols of all specs, those for failed checks included, each once.
func Symbols(specs []Spec) []mail.Symbol {
	var all []mail.Symbol
	for _, s := range specs {
		all = append(all, s.Symbols...)
		temp := mail.Symbol{Name: TempError(s.Name)}
		if !slices.ContainsFunc(s.Symbols, func(x mail.Symbol) bool { return x.Name == temp.Name }) {
			all = append(all, temp)
		}
	}
	return all
}

// Facts returns the base facts and those of all specs.
func Facts(specs []Spec) []mail.Fact {
	all := slices.Clone(mail.BaseFacts)
	for _, s := range specs {
		all = append(all, s.Facts...)
	}
	return all
}

// Names returns the names of the specs in order.
func Names(specs []Spec) []string {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	return names
}
