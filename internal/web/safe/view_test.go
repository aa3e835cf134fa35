package safe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../testdata/mail", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every charset that mail in Japan comes in, and labels that lie.
func TestCharsets(t *testing.T) {
	for name, want := range map[string]struct{ subject, from, body, file string }{
		"iso-2022-jp.eml":          {"見積書の送付について", "田中一郎", "平素より大変お世話になっております。", ""},
		"iso-2022-jp-vendor.eml":   {"会議", "高橋", "①②\n平素より", ""},
		"shift-jis.eml":            {"御見積①", "田中一郎", "納期は①12月4日", ""},
		"shift-jis-raw-header.eml": {"表示テスト：御見積", "田中一郎", "見積書を添付", ""},
		"euc-jp.eml":               {"議事録", "田中一郎", "見積書の件", ""},
		"utf-8.eml":                {"【重要】🗻 年末年始の営業について", "田中一郎", "納期は①", ""},
		"gb18030.eml":              {"报价单", "王伟", "您好，附件是报价单。", ""},
		"utf-8-as-latin1.eml":      {"mislabelled", "Tanaka", "平素より大変", ""},
		"utf-8-base64-html.eml":    {"セールのお知らせ", "通販", "見積書の件", ""},
		"split-encoded-word.eml":   {"分割", "株式会会社", "見積書の件", ""},
		"quoted-printable.eml":     {"Réponse", "André", "Voilà la réponse continued.", ""},
		"attachment-rfc2231.eml":   {"請求書", "", "見積書の件", "請求書.pdf"},
		"attachment-sjis-name.eml": {"files", "", "見積書の件", "請求書_11月分.xls"},
	} {
		v, m := New(read(t, name))
		if v.Subject != want.subject || len(v.From) != 1 || v.From[0].Name != want.from || !strings.Contains(v.From[0].Addr, "@yamada.example") {
			t.Errorf("%s: subject %q, from %+v", name, v.Subject, v.From)
		}
		if !strings.Contains(v.Text, want.body) || strings.Contains(v.Text, "\uFFFD") {
			t.Errorf("%s: text %q", name, v.Text)
		}
		if want.file != "" && (len(v.Files) != 1 || v.Files[0].Name != want.file || v.Files[0].Size != 6144) {
			t.Errorf("%s: files %+v", name, v.Files)
		}
		if v.HTML {
			if doc, ok := Document(m, words); !ok || !strings.Contains(doc, want.body) {
				t.Errorf("%s: document %s", name, doc)
			}
		}
	}
}

func TestHeaderFields(t *testing.T) {
	v, _ := New(read(t, "iso-2022-jp.eml"))
	found := false
	for _, f := range v.Fields {
		if f.Name == "Subject" {
			found = strings.HasPrefix(f.Raw, "=?") && f.Decoded == "見積書の送付について"
		}
	}
	if !found {
		t.Errorf("%+v", v.Fields)
	}
}

func TestWhatNamesHide(t *testing.T) {
	raw := "From: \"support@bank.example\" <x@evil.example>\r\nSubject: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello \u202Edlrow\r\n" +
		"--b\r\nContent-Type: application/pdf; name=\"=?UTF-8?Q?invoice=E2=80=AEfdp.exe?=\"\r\nContent-Disposition: attachment; filename=other.pdf\r\n\r\nx\r\n" +
		"--b\r\nContent-Type: text/plain; name=notes.txt\r\n\r\nthese are notes\r\n" +
		"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: text/plain\r\n\r\ninner text\r\n--b--\r\n"
	v, _ := New([]byte(raw))
	if !v.From[0].Disguised || v.From[0].Addr != "x@evil.example" {
		t.Errorf("from %+v", v.From)
	}
	if v.Text != "hello [U+202E]dlrow" {
		t.Errorf("text %q", v.Text)
	}
	if len(v.Files) != 3 || !v.Files[0].Tricky || v.Files[1].Name != "notes.txt" || v.Files[1].Tricky || v.Files[2].Type != "message/rfc822" {
		t.Fatalf("files %+v", v.Files)
	}
	if all := v.Files[0].Name + strings.Join(v.Files[0].Others, ""); !strings.Contains(all, "invoice[U+202E]fdp.exe") {
		t.Errorf("names %q", all)
	}
	if v, _ := New([]byte("From: \"山田 太郎\" <taro@example.test>\r\n\r\n")); v.From[0].Disguised {
		t.Errorf("from %+v", v.From)
	}
}

func TestLinks(t *testing.T) {
	for _, x := range []struct {
		text, url, host string
		differs         bool
	}{
		{"https://www.bank.example/login", "http://evil.example/bank.example", "evil.example", true},
		{"www.bank.example", "https://bank.example/x", "bank.example", false},
		{"bank.example へ", "https://login.bank.example/x", "login.bank.example", false},
		{"こちら", "https://evil.example/", "evil.example", false},
		{"https://bank.example", "https://bank.example@evil.example/", "evil.example", true},
		{"https://bank.example", "https:\\\\evil.example\\", "evil.example", true},
		{"x", "java\nscript:alert(1)", "", false},
	} {
		l := link(x.text, x.url)
		if l.Host != x.host || l.Differs != x.differs || strings.Contains(l.URL, "\n") {
			t.Errorf("%+v: %+v", x, l)
		}
	}
}

// A mail of everything too much is shown in part, and says so.
func TestLimits(t *testing.T) {
	var b strings.Builder
	for range 500 {
		b.WriteString("X-Field: " + strings.Repeat("v", 100) + "\r\n")
	}
	b.WriteString("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + strings.Repeat("あ", 2*maxBody))
	for range 300 {
		b.WriteString("\r\n--b\r\nContent-Type: application/x; name=a.bin\r\n\r\nx")
	}
	v, _ := New([]byte(b.String()))
	if len(v.Fields) != maxFields || v.MoreFld == 0 || len(v.Files) != maxFiles || v.MoreFil == 0 {
		t.Errorf("%d fields and %d more, %d files and %d more", len(v.Fields), v.MoreFld, len(v.Files), v.MoreFil)
	}
	if n := len([]rune(v.Text)); n > maxBody+1 || n < 1000 {
		t.Errorf("%d characters", n)
	}
}
