package text

import "fmt"

// traceWords is what `trace` says. The arguments stand in the same order in both languages.
var traceWords = map[string]map[Lang]string{
	"head":      {En: "%s  mail %s from %s to %s", Ja: "%s  メール %s　差出人 %s　宛先 %s"},
	"subject":   {En: "subject: %s", Ja: "件名: %s"},
	"client":    {En: "sent by %s", Ja: "送信元: %s"},
	"mail":      {En: "%s received: %s", Ja: "%s 受信: %s"},
	"decided":   {En: "%s: %s (%.1f points%s)", Ja: "%s: %s（%.1f 点%s）"},
	"rule":      {En: ", rule %s", Ja: "、規則 %s"},
	"finding":   {En: "%s %+.1f", Ja: "%s %+.1f"},
	"blind":     {En: "not looked at: %s", Ja: "調べられなかった項目: %s"},
	"rcpt":      {En: "%s recipient %s was answered: %s", Ja: "%s 宛先 %s への応答: %s"},
	"refused":   {En: "%s refused (%s: %s): %s", Ja: "%s 接続または差出人を拒否（%s: %s）: %s"},
	"times":     {En: "%s, %d times until %s", Ja: "%s、%d 回、%s まで"},
	"try":       {En: "%s delivery to %s for %s: %s %s", Ja: "%s %s への配送（宛先 %s）: %s %s"},
	"held":      {En: "%s held in the quarantine for %s", Ja: "%s 隔離しました（宛先 %s）"},
	"ended":     {En: "%s %s for %s, by %s", Ja: "%s %s（宛先 %s、操作した人: %s）"},
	"failed":    {En: "%s given up for %s: %s %s", Ja: "%s 配送を断念（宛先 %s）: %s %s"},
	"none":      {En: "nothing found on %s", Ja: "%s には該当する記録がありません"},
	"period":    {En: "searched: %s, %s to %s", Ja: "調べた範囲: %s、%s から %s まで"},
	"empty":     {En: "searched: %s, where nothing was ever recorded", Ja: "調べた範囲: %s（記録はまだありません）"},
	"lost":      {En: "%d events of that time were not kept, because the disk was too slow or full", Ja: "この期間の %d 件は、ディスクが遅いか一杯だったため記録されていません"},
	"damaged":   {En: "%d blocks of the history cannot be read", Ja: "履歴のうち %d ブロックが読めません"},
	"silent":    {En: "%s did not answer: %s", Ja: "%s は応答しませんでした: %s"},
	"partner":   {En: "connections refused from networks that have sent mail for %s before:", Ja: "これまで %s のメールを送ってきたネットワークからの接続のうち、拒否したもの:"},
	"nopartner": {En: "no connection was refused from a network that has sent mail for %s before", Ja: "これまで %s のメールを送ってきたネットワークからの接続で、拒否したものはありません"},
	"unheard":   {En: "no network is known from which mail for %s has come", Ja: "%s のメールを送ってきたネットワークの記録はありません"},
	"exchange":  {En: "to go on with in the Exchange Management Shell:", Ja: "Exchange 管理シェルで続きを調べるには:"},
	"answer":    {En: "an answer to give:", Ja: "問い合わせへの返答例:"},
	"more":      {En: "there are older ones; --limit shows more", Ja: "ほかにも古い記録があります。--limit で件数を増やせます"},

	"decided.of": {En: "%s: %s (%.1f of %.1f points%s)", Ja: "%s: %s（%.1f 点、しきい値は %.1f 点%s）"},
	"version":    {En: "judged by version %s of the rules", Ja: "判定に使ったルールの版: %s"},

	"said.delivered": {
		En: "The mail from %[1]s to %[2]s of %[3]s was delivered to your mail server.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、メールサーバーに配送済みです。",
	},
	"said.held": {
		En: "The mail from %[1]s to %[2]s of %[3]s is held in the quarantine and can be released.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、隔離しています。「受信する」を選ぶと届きます。",
	},
	"said.queued": {
		En: "The mail from %[1]s to %[2]s of %[3]s has arrived here and waits for the mail server behind; it is tried again by itself.",
		Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは受信済みで、メールサーバーへの配送を待っています。自動で再送します。",
	},
	"said.deferred": {
		En: "The mail from %[1]s to %[2]s of %[3]s was put off; the sender's server should send it again by itself.",
		Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、いったん受け取りを見合わせました。送信側のサーバーが自動で再送するはずです。",
	},
	"said.rejected": {
		En: "The mail from %[1]s to %[2]s of %[3]s was refused, and the sender's server was told so.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは受け取りを拒否し、その旨を送信側のサーバーに返しています。",
	},
	"said.deleted": {
		En: "The mail from %[1]s to %[2]s of %[3]s was held and has been deleted.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、隔離された後に削除されました。",
	},
	"said.expired": {
		En: "The mail from %[1]s to %[2]s of %[3]s was held; its time has run out and it is gone.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、隔離の保存期間が過ぎたため削除されました。",
	},
	"said.discarded": {
		En: "The mail from %[1]s to %[2]s of %[3]s was discarded by a rule.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、規則により破棄しました。",
	},
	"said.redirected": {
		En: "The mail from %[1]s to %[2]s of %[3]s was sent to another recipient by a rule.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは、規則により別の宛先へ送りました。",
	},
	"said.bounced": {
		En: "The mail from %[1]s to %[2]s of %[3]s could not be delivered, and the sender was told.", Ja: "%[3]s の %[1]s から %[2]s 宛てのメールは配送できず、差出人に通知しました。",
	},
	"said.aborted": {
		En: "A server began to send mail from %[1]s to %[2]s at %[3]s, but broke off before the mail was complete.",
		Ja: "%[3]s に %[1]s から %[2]s 宛てのメールの送信が始まりましたが、途中で切断されました。",
	},
	"said.nothing": {
		En: "No such mail has reached us in the time that was searched. Please ask the sender for the error message that their server returned.",
		Ja: "調べた期間に、該当するメールは届いていません。送信側のサーバーが返したエラーメッセージを、差出人にご確認ください。",
	},
	"state.delivered": {En: "delivered", Ja: "配送済み"}, "state.inflight": {En: "sent, the answer is awaited", Ja: "送信済み（応答待ち）"},
	"state.refused": {En: "refused", Ja: "拒否"}, "state.deferred": {En: "put off", Ja: "一時的な失敗"},
	"state.released": {En: "released", Ja: "受信"}, "state.deleted": {En: "deleted", Ja: "削除"}, "state.expired": {En: "expired", Ja: "保存期間の終了"},
}

// Trace says a sentence of `trace`; an unknown key is said as it stands.
func Trace(l Lang, key string, args ...any) string {
	form, ok := traceWords[key][l]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return form
	}
	return fmt.Sprintf(form, args...)
}

// TraceState is the word for a state of a delivery or a held mail; one that has no word stands as it is.
func TraceState(l Lang, state string) string {
	if w, ok := traceWords["state."+state][l]; ok {
		return w
	}
	return state
}
