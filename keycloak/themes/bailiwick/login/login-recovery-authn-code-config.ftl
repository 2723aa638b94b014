<#import "template.ftl" as layout>
<#import "password-commons.ftl" as passwordCommons>
<#-- The codes for the day the phone is lost. Saving them needs no JavaScript: the file is in the link. -->
<#-- Keycloak's warning says the same in fewer words. -->
<@layout.registrationLayout displayMessage=!(message?? && message.type = 'warning'); section>
  <#if section = "header">
    ${msg("recovery-code-config-header")}
  <#elseif section = "form">
    <#assign codes = recoveryAuthnCodesConfigBean.generatedRecoveryAuthnCodesList>
    <#assign file>${msg("recovery-codes-download-file-header")}

<#list codes as code>${code?counter}. ${code[0..3]}-${code[4..7]}-${code[8..]}
</#list>
${msg("recovery-codes-download-file-description")}
</#assign>
    <p class="bw-hint">${msg("recovery-code-config-warning-message")}</p>
    <form id="kc-recovery-codes-settings-form" action="${url.loginAction}" method="post">
      <ol class="bw-codes" id="kc-recovery-codes-list">
        <#list codes as code>
          <li>${code[0..3]}-${code[4..7]}-${code[8..]}</li>
        </#list>
      </ol>
      <p><a id="downloadRecoveryCodes" download="bailiwick-recovery-codes.txt" href="data:text/plain;charset=utf-8,${file?markup_string?url('UTF-8')}">${msg("recovery-codes-download")}</a></p>
      <input type="hidden" name="generatedRecoveryAuthnCodes" value="${recoveryAuthnCodesConfigBean.generatedRecoveryAuthnCodesAsString}">
      <input type="hidden" name="generatedAt" value="${recoveryAuthnCodesConfigBean.generatedAt?c}">
      <input type="hidden" id="userLabel" name="userLabel" value="${msg("recovery-codes-label-default")}">
      <label class="bw-check" for="kcRecoveryCodesConfirmationCheck">
        <input type="checkbox" id="kcRecoveryCodesConfirmationCheck" name="kcRecoveryCodesConfirmationCheck" required>
        <span>${msg("recovery-codes-confirmation-message")}</span>
      </label>
      <@passwordCommons.logoutOtherSessions/>
      <div class="bw-answer">
        <button class="${properties.kcButtonPrimaryClass}" type="submit" id="saveRecoveryAuthnCodesBtn">${msg("recovery-codes-action-complete")}</button>
        <#if isAppInitiatedAction??>
          <button class="${properties.kcButtonSecondaryClass}" type="submit" id="cancelRecoveryAuthnCodesBtn" name="cancel-aia" value="true" formnovalidate>${msg("doCancel")}</button>
        </#if>
      </div>
    </form>
  </#if>
</@layout.registrationLayout>
