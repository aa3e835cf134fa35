package text

// Texts of why something was not looked at. The keys are the words of the checks.
var whyTexts = []Entry{
	{"unlooked", "{what}（{reason}）", "{what} ({reason})"},
	{"unlooked.part", "{what}のうち {part}（{reason}）", "{what}: {part} ({reason})"},

	{"why.not configured", "設定されていません", "it is not configured"},
	{"why.switched off", "設定で無効にしています", "it is switched off"},
	{"why.no list is configured", "問い合わせ先のリストが設定されていません", "no list is configured"},
	{"why.no database is configured", "データベースが設定されていません", "no database is configured"},
	{"why.no delay is configured", "待ち時間が設定されていません", "no delay is configured"},
	{"why.a relay of ours would wait, not the sender", "待つことになるのは送信元ではなく、信頼している中継サーバーのため、対象外です", "a relay of ours would wait, not the sender"},
	{"why.every limit is off", "上限が設定されていません", "every limit is off"},
	{"why.trusted client", "信頼している送信元（mynetworks）からのメールのため、対象外です", "the client is trusted"},
	{"why.no message", "本文を受け取る前に判定が終わりました", "there was no message yet"},
	{"why.private address", "送信元が組織内のIPアドレスのため、対象外です", "the client has a private address"},
	{"why.no list for IPv6", "IPv6に対応したリストが設定されていません", "no list is for IPv6"},
	{"why.no sender, and the relay does not say the HELO", "差出人が空で、送信元が名乗った名前も中継サーバーから伝えられていません", "there is no sender, and the relay does not say the HELO"},
	{"why.the relay does not say the HELO", "送信元が名乗った名前が、中継サーバーから伝えられていません", "the relay does not say the HELO"},
	{"why.did not run", "検査の前に判定が終わりました", "it did not run"},
	{"why.nothing to look at", "対象となるものがありませんでした", "there was nothing to look at"},
	{"why.timeout", "時間内に応答がありませんでした", "it did not answer in time"},
	{"why.no answer", "応答がありませんでした", "it did not answer"},
	{"why.DNS timeout", "DNSサーバーから、時間内に応答がありませんでした", "the DNS did not answer in time"},
	{"why.DNS", "DNSへの問い合わせに失敗しました。詳細：{detail}", "the DNS could not be asked: {detail}"},
	{"why.internal error", "検査の途中で内部エラーが起きました", "an internal error"},
	{"why.not trained", "学習した通数が足りません。現在の通数：{detail}", "too little is learned: {detail}"},
	{"why.not trained.counts", "学習した通数がまだ足りません。通常のメールは{ham}通（必要数{needham}通）、迷惑メールは{spam}通（必要数{needspam}通）です", "too little is learned: {ham} of {needham} good mails, {spam} of {needspam} spam"},
	{"why.client not known", "実際の送信元が分かりません。詳細：{detail}", "it is not known who the client is: {detail}"},
	{"why.the model is not loaded: the store did not answer", "保存先が応答しないため、学習した内容を読み込めていません", "what was learned is not loaded: the store did not answer"},
	{"why.spf or dkim did not run", "SPFまたはDKIMの検査が行われていません", "SPF or DKIM did not run"},
	{"why.the database is damaged", "データベースが壊れています", "the database is damaged"},
}
