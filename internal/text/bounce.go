package text

// Texts of reports to the sender of a mail: of a failure and of a delay. The sender is told what happened and what to do, never a
// rule or a score.
var bounceTexts = []Entry{
	{"dsn.subject.failed", "メールをお届けできませんでした", "Your mail could not be delivered"},
	{"dsn.subject.delayed", "メールの配送が遅れています", "Your mail is delayed"},
	{"dsn.from", "メール配送システム", "Mail Delivery System"},

	{
		"dsn.intro.failed", "{host} のメール配送システムです。\nお送りいただいた次のメールは、下記の宛先にお届けすることができませんでした。\n当システムから再度お送りすることはありません。",
		"This is the mail system at {host}.\nThe following mail could not be delivered to the recipients named below.\nIt will not be tried again.",
	},
	{
		"dsn.intro.delayed", "{host} のメール配送システムです。\nお送りいただいた次のメールは、まだ下記の宛先にお届けできていません。\n引き続き自動的に配送を試みますので、送り直していただく必要はありません。\n{until}までにお届けできないときは、改めてお知らせします。",
		"This is the mail system at {host}.\nThe following mail has not reached the recipients named below yet.\nDelivery is being tried again by itself; you need not send the mail again.\nIf it has not arrived by {until}, you will be told.",
	},
	{"dsn.mail.subject", "件名：「{subject}」", "Subject: \"{subject}\""},
	{"dsn.mail.arrived", "受け付けた日時：{time}", "Accepted: {time}"},
	{"dsn.rcpt", "宛先：{rcpt}", "Recipient: {rcpt}"},
	{"dsn.answer", "宛先のメールサーバーの応答：{reply}", "The mail server said: {reply}"},
	{"dsn.id", "宛先の組織にお問い合わせになるときは、番号 {id} をお知らせください。", "If you ask the recipient's organisation about this mail, please give the number {id}."},
	{
		"dsn.auto", "このお知らせは自動的にお送りしています。ご返信いただいても、お答えすることができません。",
		"This notice was sent automatically; replies to it are not answered.",
	},

	{"dsn.why.unknown", "この宛先のアドレスは見つかりませんでした。アドレスに誤りがないか、お確かめください。", "There is no such address. Please check the spelling."},
	{"dsn.why.full", "この宛先のメールボックスに空きがないため、受け取ることができませんでした。しばらくしてから送り直してください。", "The mailbox of this recipient is full. Please send the mail again later."},
	{"dsn.why.size", "メールが大きすぎるため、受け取ることができませんでした。添付ファイルを減らすなどして送り直してください。", "The mail is too large for this recipient. Please send it again with fewer or smaller attachments."},
	{"dsn.why.expired", "期限まで繰り返し配送を試みましたが、宛先のメールサーバーにお届けできませんでした。お急ぎの場合は、電話など別の方法でご連絡ください。", "Delivery was tried until the time was up, but the recipient's mail server did not take the mail. If it is urgent, please use another way."},
	{"dsn.why.policy", "宛先のメールサーバーの方針により、このメールは受け取られませんでした。", "The recipient's mail server did not accept this mail under its policy."},
	{"dsn.why.other", "宛先のメールサーバーが、このメールを受け取りませんでした。", "The recipient's mail server did not accept this mail."},
	{"dsn.why.delayed", "宛先のメールサーバーが、一時的にメールを受け取ることができない状態です。", "The recipient's mail server cannot take mail at the moment."},
}
