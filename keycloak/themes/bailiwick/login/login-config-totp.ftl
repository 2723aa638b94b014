<#import "template.ftl" as layout>
<#import "password-commons.ftl" as passwordCommons>
<#-- Setting up an authenticator app, as three steps. Field names are Keycloak's. -->
<#macro field name label autocomplete hint="">
  <#assign problem = messagesPerField.get(name)!"">
  <div class="bw-field">
    <label for="${name}">${label}</label>
    <span class="${properties.kcInputClass}<#if problem?has_content> ${properties.kcError}</#if>">
      <input type="text" id="${name}" name="${name}" autocomplete="${autocomplete}"
             <#if name = "totp">inputmode="numeric" autofocus</#if>
             <#if problem?has_content>aria-invalid="true" aria-describedby="${name}-problem"</#if>>
    </span>
    <#if problem?has_content><span id="${name}-problem" class="${properties.kcInputErrorMessageClass}" aria-live="polite">${problem}</span></#if>
    <#if hint?has_content><small class="bw-quiet">${hint}</small></#if>
  </div>
</#macro>
<@layout.registrationLayout displayMessage=!(messagesPerField.existsError('totp','userLabel') || (message?? && message.type = 'warning')); section>
  <#if section = "header">
    ${msg("loginTotpTitle")}
  <#elseif section = "form">
    <p class="bw-hint">${msg("totpWhy")}</p>
    <form id="kc-totp-settings-form" action="${url.loginAction}" method="post" novalidate="novalidate">
      <ol class="bw-steps" role="list">
        <li>
          <div>
            <h2>${msg("totpStepApp")}</h2>
            <p class="bw-quiet">${msg("totpStepAppText")} <#list totp.supportedApplications as app>${msg(app)}<#sep>, </#list>.</p>
          </div>
        </li>
        <li>
          <div>
            <#if mode?? && mode = "manual">
              <h2>${msg("totpStepKey")}</h2>
              <p><span id="kc-totp-secret-key">${totp.totpSecretEncoded}</span></p>
              <p class="bw-quiet">${msg("totpStepKeyText", totp.policy.digits?c, totp.policy.period?c)}</p>
              <p><a href="${totp.qrUrl}" id="mode-barcode">${msg("loginTotpScanBarcode")}</a></p>
            <#else>
              <h2>${msg("totpStepScan")}</h2>
              <p><img id="kc-totp-secret-qr-code" src="data:image/png;base64, ${totp.totpSecretQrCode}" alt="${msg("totpPicture")}"></p>
              <p><a href="${totp.manualUrl}" id="mode-manual">${msg("loginTotpUnableToScan")}</a></p>
            </#if>
          </div>
        </li>
        <li>
          <div>
            <h2>${msg("totpStepCode")}</h2>
            <@field name="totp" label=msg("authenticatorCode") autocomplete="one-time-code"/>
            <@field name="userLabel" label=msg("loginTotpDeviceName") autocomplete="off" hint=msg("totpDeviceHint")/>
            <input type="hidden" id="totpSecret" name="totpSecret" value="${totp.totpSecret}">
            <#if mode??><input type="hidden" id="mode" name="mode" value="${mode}"></#if>
            <@passwordCommons.logoutOtherSessions/>
            <div class="bw-answer">
              <button class="${properties.kcButtonPrimaryClass}" type="submit" id="saveTOTPBtn">${msg("totpDone")}</button>
              <#if isAppInitiatedAction??>
                <button class="${properties.kcButtonSecondaryClass}" type="submit" id="cancelTOTPBtn" name="cancel-aia" value="true">${msg("doCancel")}</button>
              </#if>
            </div>
          </div>
        </li>
      </ol>
    </form>
  </#if>
</@layout.registrationLayout>
