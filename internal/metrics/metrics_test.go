package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sekimori/internal/mail"
)

func TestWhatIsCountedIsShown(t *testing.T) {
	r := New("1.2.3")
	r.Mail(mail.Hold)
	r.Outcome(mail.Outcome{
		Check: "spf", State: mail.StateTempError, Took: time.Millisecond,
		Result: mail.Result{Findings: []mail.Finding{{Symbol: "SPF_TEMPERROR"}}},
	})
	r.Open(7)
	r.Refusal("rcpt", "policy")
	r.Warning("dns", true)
	r.Warning("redis", true)
	r.Warning("redis", false)
	r.Phase("judge", time.Second)
	r.Gauge("sekimori_test_gauge", "A gauge.", func() float64 { return 5 })
	r.Counter("sekimori_test_total", "A counter.", func() float64 { return 6 })
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`sekimori_mails_total{action="hold"} 1`, `sekimori_mails_total{action="reject"} 0`,
		`sekimori_checks_total{check="spf",state="temperror"} 1`, `sekimori_findings_total{symbol="SPF_TEMPERROR"} 1`,
		"sekimori_connections 7", `sekimori_refusals_total{where="rcpt",why="policy"} 1`, `sekimori_warning{cause="dns"} 1`,
		`sekimori_mail_seconds_count{phase="judge"} 1`, "sekimori_test_gauge 5", "sekimori_test_total 6", `sekimori_info{version="1.2.3"} 1`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("not shown: %s", want)
		}
	}
	if strings.Contains(w.Body.String(), `cause="redis"`) {
		t.Error("a warning that is over is still shown")
	}
}
