package text

// actsTexts are those of what people do with held mail.
var actsTexts = []Entry{
	{
		"ask.subject",
		"隔離されたメールの確認依頼が{n}件あります",
		"{n} held mail(s) to be looked at",
	},
	{
		"ask.begin",
		"次のメールについて、受信してよいかどうかの確認を依頼されています。隔離メールの管理画面で内容をご確認のうえ、受信または削除をお選びください。",
		"People ask whether these mails may be delivered. Please look at them on the administrators' pages, and release or delete them.",
	},
	{
		"ask.mail",
		"差出人：「{from}」\n件名：「{subject}」\n宛先：{rcpt}\n隔離の分類：{class}\nID：{id}",
		"From: “{from}”\nSubject: “{subject}”\nTo: {rcpt}\nHeld as: {class}\nID: {id}",
	},
	{
		"ask.by",
		"依頼した人：{by}（{at}）",
		"Asked by: {by} ({at})",
	},
	{
		"ask.note",
		"依頼した人の説明：「{note}」",
		"Their note: “{note}”",
	},
	{
		"ask.link",
		"管理画面：{url}",
		"Pages: {url}",
	},
	{
		"ask.end",
		"説明は依頼した人が書いたもので、メールが安全であることを示すものではありません。コマンドでは sekimori quarantine show ID で確認できます。",
		"The notes are the words of those who ask and no sign that a mail is safe. At the command line: sekimori quarantine show ID.",
	},
}
